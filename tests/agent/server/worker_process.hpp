// Real worker processes that share one listener and one segment, as the arbiter would start them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/server/datagram/datagram_listener.hpp"
#include "agent/server/worker.hpp"
#include "agent/telemetry/segment.hpp"
#include "common/sketch/exponential_histogram.hpp"
#include "tests/support/certificates.hpp"

/// The sum over the workers of the counter with these labels; 0 if there is none.
std::uint64_t count_of(signalbox::Telemetry& telemetry, std::string_view name,
                       const signalbox::Labels& labels = {});

class WorkerProcesses {
public:
    explicit WorkerProcesses(signalbox::Router router, signalbox::ListenerOptions options = {},
                             const std::string& address = "127.0.0.1:0",
                             std::chrono::milliseconds drain_deadline = std::chrono::seconds(10));
    explicit WorkerProcesses(signalbox::StreamHandler handler, signalbox::ListenerOptions options = {},
                             const std::string& address = "127.0.0.1:0",
                             std::chrono::milliseconds drain_deadline = std::chrono::seconds(10));
    /// Kills what still runs.
    ~WorkerProcesses();

    const std::string& address() const { return listener_->address; }
    signalbox::Telemetry& telemetry() { return telemetry_; }
    int listening_socket() const { return listener_->socket; }

    /// Before a worker is started.
    void add(signalbox::server::CustomServerConfig custom) { config_.custom.push_back(std::move(custom)); }
    /// To be called before start(); the address as bound.
    std::string serve_datagrams(const std::string& address, signalbox::DatagramHandler handler,
                                signalbox::DatagramOptions options);
    const signalbox::server::DatagramListener& datagrams() const { return *config_.datagrams.front(); }

    /// Forks a worker into `seat` (0 … 3) and waits until it is ready.
    void start(unsigned seat = 0);
    void start_unready(unsigned seat = 0);
    /// What the arbiter does to take a drain back.
    void resume(unsigned seat = 0) { telemetry_.segment().seat(seat)->resumptions.fetch_add(1); }
    void signal(unsigned seat, int number);
    /// SIGSTOP; every thread of it stands still when this returns.
    void pause(unsigned seat);
    /// The exit status, EX_SOFTWARE after an exception; -1 if it was killed or does not end within 30 seconds.
    int wait(unsigned seat);
    int stop(unsigned seat);

    const signalbox::telemetry::Seat& seat(unsigned index = 0);
    std::uint64_t waiting(unsigned index = 0);
    bool is_ready(unsigned index = 0);
    /// All that the workers have recorded in this distribution.
    signalbox::sketch::ExponentialHistogram distribution(std::string_view name);
    std::uint64_t counter(std::string_view name, const signalbox::Labels& labels = {}) {
        return count_of(telemetry_, name, labels);
    }
    /// Texts of the events of that name in the worker's ring.
    std::vector<std::string> events(std::string_view name, unsigned seat = 0);

    /// As if the time had come, which is then put off for another period.
    void rotate_ticket_keys();

private:
    WorkerProcesses(const signalbox::ListenerOptions& options, const std::string& address,
                    std::chrono::milliseconds drain_deadline);

    signalbox::Telemetry telemetry_;
    std::shared_ptr<signalbox::server::Listener> listener_;
    signalbox::server::WorkerConfig config_;
    std::map<unsigned, pid_t> running_;
    std::uint64_t generations_ = 0;  ///< no two workers have the same
    unsigned rotations_ = 0;
};

/// GET /hello, GET /slow (a coroutine, 50 ms), POST /echo, GET /large (8 MiB), GET /fail, GET /spin?ms=…, and
/// others.
signalbox::Router test_router();

/// With the certificate "server" of the test's authority.
inline signalbox::TlsOptions server_tls(const Certificates& certificates) {
    return {.certificate = certificates.file("server.pem"), .key = certificates.file("server.key")};
}
