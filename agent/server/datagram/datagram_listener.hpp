// A bound datagram socket, what is served on it, and the sockets through which workers forward datagrams to each other.
// Made before the fork, shared by all workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/server/datagram/dispatch.hpp"
#include "signalbox/datagram.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox::server {

struct DatagramOrigin {
    int socket;
    DatagramEnds ends;
};

struct DatagramMetrics {
    explicit DatagramMetrics(Telemetry& telemetry);

    Counter received;   ///< also those that are forwarded or shed
    Counter forwarded;  ///< to another worker
    Counter shed_kernel, shed_forwarding, shed_busy, shed_truncated, shed_malformed;
    Duration duration;  ///< of a handler
};

struct DatagramListener {
    DatagramListener(DatagramHandler handler_, DatagramOptions options_, Telemetry& telemetry)
        : handler(std::move(handler_)), options(std::move(options_)), metrics(telemetry) {}
    ~DatagramListener();
    DatagramListener(const DatagramListener&) = delete;
    DatagramListener& operator=(const DatagramListener&) = delete;

    /// All descriptors.
    std::vector<int> sockets() const;
    /// What the kernel says it has dropped altogether (SO_RXQ_OVFL), as told to any worker: how many of these are news.
    std::uint32_t new_drops(std::uint32_t dropped);

    int socket = -1;
    int family = 0;
    std::string address;
    DatagramHandler handler;
    DatagramOptions options;
    DatagramMetrics metrics;
    struct Inbox {
        int reader = -1;
        int writer = -1;
    };
    std::vector<Inbox> inboxes;  ///< by slot; with a key only

private:
    friend std::shared_ptr<DatagramListener> bind_datagram(std::string_view, DatagramHandler, DatagramOptions,
                                                           unsigned, Telemetry&);
    std::atomic<std::uint32_t>* dropped_ = nullptr;  ///< in memory that the workers share
};

/// Binds; `slots` is how many workers there may be. Throws std::system_error naming the address.
std::shared_ptr<DatagramListener> bind_datagram(std::string_view address, DatagramHandler handler,
                                                DatagramOptions options, unsigned slots,
                                                Telemetry& telemetry);

}  // namespace signalbox::server
