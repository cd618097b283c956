// A preforked server: listeners, workers, the arbiter that keeps them alive, and the agent that shows them.
//
//     int main() {
//         signalbox::Group group({.name = "hello", .workers = 2});
//         signalbox::Counter greetings(group.telemetry(), "greetings_total", "Greetings sent");
//         signalbox::Router router;
//         router.get("/hello", [greetings](const signalbox::Request&) mutable {
//             greetings.add();
//             return signalbox::Response::text("Hello!\n");
//         });
//         group.http("127.0.0.1:8080", std::move(router));
//         return group.run();
//     }
//
// run() forks; create no thread before it. Signals to the arbiter:
//
//     TERM, INT      drain and stop; sent again: stop at once
//     QUIT           stop at once
//     HUP            read the configuration file again, if there is one (configuration.hpp); then, unless it is
//                    refused, cycle all workers, a few at a time
//     USR1           the workers reopen their log files (Group::log_to)
//     USR2           upgrade: see below
//     TTIN, TTOU     one worker more, one worker less; between 1 and max_workers
//
// An upgrade starts the program anew, from the path by which this one was started, with the same arguments, directory and
// environment. The new process takes over the listening sockets and all totals and starts its workers; when all are ready,
// those of the old process drain, and it ends with status 0. If it ends before, or is not ready within upgrade_deadline,
// the old process goes on, and the event upgrade_failed says why. What operators changed at run time (the number of
// workers, tunables) is as they left it. Construct the Group before the program changes its directory or environment.
//
// A service manager finds what it expects: run() tells $NOTIFY_SOCKET when the workers are ready, how many there are, when
// the group reloads and stops, and that it lives (sd_notify(3)); listeners take over the sockets that it has bound
// (sd_listen_fds(3)). After an upgrade the new process is its main one: in a unit that takes NotifyAccess=all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "signalbox/bytes.hpp"
#include "signalbox/compression.hpp"
#include "signalbox/context.hpp"
#include "signalbox/custom_server.hpp"
#include "signalbox/datagram.hpp"
#include "signalbox/http.hpp"
#include "signalbox/log_sinks.hpp"
#include "signalbox/stream.hpp"
#include "signalbox/telemetry.hpp"
#include "signalbox/transport.hpp"

namespace signalbox {
namespace configuration {
class Source;
}

/// Limits of one HTTP listener. A request beyond a size is refused (431, 413), one beyond a deadline with
/// 408.
struct HttpLimits {
    Bytes header{16 * 1024};
    Bytes body{8 * 1024 * 1024};
    Bytes streamed_body{1024 * 1024 * 1024};  ///< of a request whose handler reads it piece by piece
    std::chrono::milliseconds header_deadline{10'000};  ///< from the first byte to the end of the header
    std::chrono::milliseconds body_deadline{
        30'000};  ///< for the whole body; of a streamed one, without any progress
    std::chrono::milliseconds write_deadline{30'000};  ///< without any progress
    std::chrono::milliseconds keep_alive{75'000};      ///< idle between requests
};

/// How a listener's connections get to the workers. In each mode the same is shed, in the same way.
enum class Accept {
    /// The event loops accept from the shared socket (EPOLLEXCLUSIVE: one is woken for one connection), in such a way that
    /// kept-open connections spread evenly over the workers. While a loop is in a handler that blocks or computes, a thread
    /// of its worker empties the kernel's queue in its place, so whoever has to be refused knows within a millisecond.
    queue,
    /// As they are woken, without a thread: while a loop is busy the others accept, and while all are, connections wait in
    /// the kernel.
    exclusive,
    /// Each worker's event loop accepts from a socket of its own (SO_REUSEPORT; TCP only); the kernel chooses by the
    /// connection's addresses, so that it does not matter how busy a worker is. The sockets are made before the workers, up
    /// to max_workers, and stay when these are replaced. What waits at the socket of a slot that has no worker is served by
    /// the others.
    reuseport,
};

/// Of a custom server's socket only the backlog means anything.
struct ListenerOptions {
    int backlog = 1024;  ///< of the kernel's queue
    Accept accept = Accept::queue;
    /// TCP_DEFER_ACCEPT: the kernel keeps a connection to itself until its client has sent something, at most this long, so
    /// that no worker is woken for nothing; whole seconds; 0: not. Of http(), and of whatever speaks TLS only: there the
    /// client speaks first.
    std::chrono::seconds defer_accept{1};
    unsigned queue_capacity = 512;                    ///< of each worker's accept queue
    std::chrono::milliseconds queue_deadline{5'000};  ///< a connection that waited longer is shed
    HttpLimits limits{};                              ///< of http()
    std::optional<TlsOptions> tls{};                  ///< none: plain text
    std::optional<ProxyOptions> proxy{};              ///< none: the peer is who has connected
    std::optional<CompressionOptions> compression{};  ///< of http(): nothing is compressed without it
    StreamLimits stream{};                            ///< of stream()
    std::string name{};  ///< by which a configuration knows it: "web"; "": by its number
};

/// TLS 1.3 with client certificates for the agent's TCP port. PEM files.
struct AgentTls {
    std::string address{};  ///< "0.0.0.0:9443"; empty: no TCP port
    std::string certificate{};
    std::string key{};
    std::string client_authority{};        ///< who signs the clients' certificates
    std::vector<std::string> operators{};  ///< subject common names that may act; others may only look
};

enum class CaptureOutput { automatic, yes, no };

struct GroupOptions {
    std::string name{};
    unsigned workers = 2;
    unsigned max_workers = 64;     ///< the most that scaling may reach
    std::int64_t min_workers = 1;  ///< the fewest that autoscaling goes down to; a tunable
    std::chrono::milliseconds drain_deadline{10'000};  ///< what is open after that is closed
    std::chrono::milliseconds start_deadline{30'000};  ///< a worker not ready by then is replaced
    /// A new version whose workers are not all ready by then does not take over. A tunable.
    std::chrono::milliseconds upgrade_deadline{30'000};

    // A worker beyond one of these is cycled: its successor is ready before it drains, and at most one worker in eight
    // (but at least one) is replaced at a time. 0: no limit. All are tunables.
    Bytes worker_memory_limit{0};              ///< resident
    std::int64_t worker_open_files_limit = 0;  ///< descriptors
    std::int64_t worker_request_limit =
        0;  ///< answered; each worker has up to a tenth more, so that not all go at once
    std::chrono::seconds worker_age_limit{0};       ///< likewise
    std::chrono::milliseconds worker_lag_limit{0};  ///< event loop later than this ten times within a minute

    /// Resident memory of all workers together, what they share counted once. Near it (nine tenths) the group does not
    /// grow; above it the largest worker is cycled, one at a time. A tunable; 0: no limit.
    Bytes total_memory_limit{0};

    // The number of workers follows the load, between min_workers and max_workers: up quickly when connections wait
    // too long for a worker or the workers use more than four fifths of their processors, down slowly and one by one
    // when they would have enough to spare without it. Each step is the event `group_scaled` with its reason. All are
    // tunables.
    bool autoscale = false;
    std::chrono::milliseconds autoscale_queue_target{50};  ///< a connection that waits longer waits too long
    std::chrono::milliseconds autoscale_up_after{1'000};   ///< too much load for this long: more workers
    std::chrono::milliseconds autoscale_down_after{180'000};  ///< little load for this long: one less
    std::chrono::milliseconds autoscale_hold{600'000};  ///< nothing of that so long after somebody has scaled

    /// An event loop that is late by this much is reported, with the stack that it is stuck in; at most 5 a minute. A
    /// tunable; 0: never.
    std::chrono::milliseconds spin_threshold{150};
    /// A worker whose event loop is late by this much is replaced and, if it is still stuck when its successor is ready,
    /// killed. A tunable; 0: never.
    std::chrono::milliseconds wedge_timeout{10'000};
    /// The black box, which `signalbox-inspect` reads even after a crash. Empty: NAME.segment in
    /// $XDG_RUNTIME_DIR/signalbox, or for root in /run/signalbox. The last one is kept as PATH.previous; while another
    /// group has the file, this one takes NAME-PID.segment.
    std::string segment_path{};
    bool anonymous_segment = false;  ///< memory without a file, which ends with the group
    std::string agent_socket{};      ///< the agent's unix socket; empty: no agent
    AgentTls agent_tls{};
    bool quiet = false;  ///< nothing on stderr but errors
    std::string
        pid_file{};  ///< of the arbiter; locked while it runs, emptied and if possible removed at the end
    /// Whether what the workers and the agent write to stdout and stderr goes through the arbiter, which prefixes each line
    /// with its process. Automatic: if daemonized or with output_file.
    CaptureOutput capture_output = CaptureOutput::automatic;
    /// Where that goes, and what the arbiter itself says; rotated at 64 MiB, five are kept. "": to the group's own stderr
    /// (daemonized: nowhere). Opened again upon USR1.
    std::string output_file{};
    /// The Group's constructor goes on in the background, in a session of its own; the process that was called stays in it,
    /// and ends when the group is ready (with 0), or with the group's status, whose messages it has had on its stderr by
    /// then. From run() on stdin and stdout are /dev/null, and stderr when the group is ready. A group whose workers keep
    /// failing before that ends.
    bool daemonize = false;
    /// Working directory of a daemonized group from run() on; "": as it is. Paths in the options are relative to the one
    /// before.
    std::string directory{};
    std::string umask{};               ///< of all processes, in octal digits: "027"; "": as it is
    std::string process_group_file{};  ///< like pid_file: whom `kill -TERM -PGID` ends
    std::uint64_t open_files = 0;      ///< RLIMIT_NOFILE of all processes; 0: as it is
    /// Whom all processes run as from run() on, when everything is bound; "": as now. Needs root.
    std::string user{};
    std::string user_group{};     ///< "": the user's own
    bool pin_workers = false;     ///< worker n runs on the n-th of the allowed processors, cyclically
    std::string origin = "code";  ///< where what differs from the defaults was chosen: "command line"
    /// Of a group that is set up by a Configuration: knows where each setting was chosen, and reads the file again.
    std::shared_ptr<const configuration::Source> configuration{};
};

class Group {
public:
    /// Creates the segment. Throws std::invalid_argument (an option that makes no sense) or
    /// std::system_error.
    explicit Group(GroupOptions options);
    ~Group();
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

    Telemetry& telemetry();

    /// For facts, settings and tunables of your own, beside the group's: what the process is
    /// (Context::describe_process), the options, and for listener n its listener_n_address, _backlog, _accept,
    /// _queue_capacity and _queue_deadline. The last one and drain_deadline are tunables.
    Context context();

    /// Serves HTTP/1.1 at `address`: "127.0.0.1:8080", "[::1]:8080", "*:8080" or "unix:/run/hello.sock". Port
    /// 0 takes a free one. Binds at once; returns the address as bound. Throws std::system_error
    /// ("127.0.0.1:80: permission denied") or std::invalid_argument (a certificate that cannot be used, and why).
    std::string http(std::string_view address, Router router, ListenerOptions options = {});

    /// Serves any other protocol: `handler` is called for each connection. Otherwise as http(); who is turned away is
    /// reset. See stream.hpp.
    std::string stream(std::string_view address, StreamHandler handler, ListenerOptions options = {});

    /// Runs what `make` makes in each worker, before the listeners accept. See custom_server.hpp.
    void custom(std::string name, MakeCustomServer make);
    /// With a listening socket at `address`, which the server accepts from itself; returns the address as bound.
    std::string custom(std::string name, std::string_view address, MakeCustomServer make,
                       ListenerOptions options = {});

    /// Serves datagrams at `address`: "127.0.0.1:5060", "[::1]:5060", "*:5060" or "unix:/run/hello.sock"; port 0 takes a
    /// free one. Binds at once; returns the address as bound. Throws as http() does.
    std::string datagram(std::string_view address, DatagramHandler handler, DatagramOptions options = {});

    /// Called in each worker after the fork, before it is ready, with its slot.
    void after_fork(std::function<void(unsigned slot)> function);

    /// Called in each worker after the fork, with its slot: what it returns are the sinks of the worker's log. They
    /// are written to until the worker has drained, and flushed then.
    void log_to(std::function<std::vector<std::unique_ptr<LogSink>>(unsigned slot)> sinks,
                LogWriterOptions options = {});

    /// Serves until a signal ends it. 0 after an orderly stop; otherwise an exit status from sysexits.h.
    int run();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace signalbox
