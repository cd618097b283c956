// A worker's end of a datagram listener: receives in batches, forwards what belongs to others, calls the handler, and
// gives the way back.
//
// What it has taken from a socket it handles: there is no queue of its own. So a worker that drains merely stops reading,
// and its successor goes on with what is in the sockets.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <vector>

#include "agent/server/acceptor.hpp"
#include "agent/server/datagram/datagram_listener.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

class DatagramService final : public Acceptor {
public:
    DatagramService(WorkerContext& context, std::shared_ptr<DatagramListener> listener);
    ~DatagramService() override;

    void start();
    void stop() override;
    void look_after(std::uint64_t now) override;
    /// No handler is at work.
    bool finished() const override { return *at_work_ == 0; }

private:
    struct Batch;

    void receive(int descriptor, bool forwarded);
    int receive_batch(int descriptor, bool forwarded);
    void take(std::span<const std::byte> bytes, const msghdr& header);
    void take_forwarded(std::span<const std::byte> bytes);
    bool forward(std::span<const std::byte> bytes, const DatagramEnds& ends, unsigned slot);
    void handle(std::span<const std::byte> bytes, const DatagramEnds& ends);
    void failed(const std::exception_ptr& failure);
    unsigned slot_count() const;

    WorkerContext& context_;
    const std::shared_ptr<DatagramListener> listener_;
    const std::unique_ptr<Batch> batch_;
    std::optional<DescriptorWatch> socket_;  ///< none: stopped
    std::optional<DescriptorWatch> inbox_;
    std::shared_ptr<unsigned> at_work_ = std::make_shared<unsigned>(0);  ///< handlers
    std::uint64_t complained_ns_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace signalbox::server
