// A worker process from its first to its last moment: event loop, acceptors, connections, heartbeat, drain.
//
// Runs in a child of the arbiter that has just been forked: no thread, io_context or TLS object exists
// before. The event loop is the calling thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/server/custom_servers.hpp"
#include "agent/server/listener.hpp"
#include "agent/telemetry/seat.hpp"
#include "signalbox/group.hpp"

namespace signalbox::server {

/// The instruments that every server has; registered before the fork. Names are in metrics.cpp.
struct ServerMetrics;
std::shared_ptr<ServerMetrics> make_server_metrics(Telemetry& telemetry);

struct DatagramListener;
class Wakeups;

/// The arbiter's, when the worker in `seat` has ended: counts as failed what it had accepted and did not get to count
/// as anything else.
void count_lost_connections(ServerMetrics& metrics, telemetry::Segment& segment, unsigned seat);

struct WorkerConfig {
    std::vector<std::shared_ptr<Listener>> listeners;
    std::vector<std::shared_ptr<DatagramListener>> datagrams{};
    std::vector<CustomServerConfig> custom{};
    std::shared_ptr<ServerMetrics> metrics;
    std::shared_ptr<const Wakeups> wakeups{};  ///< made before the fork
    Tunable<std::chrono::milliseconds> drain_deadline{std::chrono::seconds(10)};
    /// Telemetry::refresh() or the like; called once a second in the event loop. May be empty.
    std::function<void()> refresh{};
    /// Called in the event loop upon SIGUSR1. Empty: that signal is the program's own.
    std::function<void()> reopen_logs{};
    /// Wakes the arbiter after a change of phase (any thread).
    std::function<void()> notify_arbiter;
};

/// Serves until SIGTERM (drain: accept no more, serve what waits, finish what is open, `Connection: close`,
/// at most drain_deadline) or SIGQUIT (at once). A drain is taken back, until it has finished, by the arbiter's
/// Seat::resumptions: the listeners accept again. Sets the seat's phase to ready when every custom
/// server has started and every listener accepts,
/// to draining when told so. Returns the exit status.
int run_worker(telemetry::SeatWriter& seat, const WorkerConfig& config);

}  // namespace signalbox::server
