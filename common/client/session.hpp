// A live connection to one agent, kept up by itself: connects, negotiates, subscribes, calls, reconnects with
// back-off.
//
//     struct Printer : client::Observer {
//         void on_tick(wire::Tick&& tick) override { std::cout << tick.number << '\n'; }
//     } printer;
//     boost::asio::io_context io;
//     client::Session session(io, {.url = client::Url::parse("unix:/run/mailroom/agent.sock")}, printer);
//     session.start();
//     session.call("workers.list", {}, [](client::Reply reply) { if (reply) std::cout << *reply.result; });
//     io.run();
//
// Single-threaded: every member function is called, and every callback comes, on the thread that runs `io`.
// Everything received is untrusted: frames are bounded (16 MiB) and decoded by wire::decode.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/client/url.hpp"
#include "common/wire/messages.hpp"

namespace signalbox::client {

/// PEM files for tls:// URLs. `authority` verifies the agent; certificate and key identify us.
struct TlsFiles {
    std::string authority;
    std::string certificate;
    std::string key;
};

struct Subscription {
    enum class Granularity { group, worker };
    Granularity granularity = Granularity::worker;
    std::chrono::milliseconds period{1000};
    int scale = 5;                    ///< of distributions: 7, or coarser to save bandwidth
    std::chrono::seconds history{0};  ///< ask for this much of the past first, as far as the agent has it
};

struct Options {
    Url url;
    TlsFiles tls{};
    /// Renewed at each reconnect, then asking only for what was missed. None: calls only.
    std::optional<Subscription> subscription{};
    /// Otherwise the first failure closes the session, with the reason as on_state's detail.
    bool reconnect = true;
    std::chrono::milliseconds first_retry{250};  ///< doubled at each failure, ± 20 % jitter
    std::chrono::milliseconds last_retry{10000};
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds call_timeout{10000};
};

/// What the agent says of itself first of all.
struct Hello {
    int protocol = 0;
    std::string group;    ///< the group's name
    std::string host;     ///< the agent's host name
    std::string version;  ///< of the Signalbox runtime in the server
    std::string boot_id;  ///< changes when the group (not the agent) restarts
    std::uint32_t arbiter_pid = 0;
    std::uint32_t agent_pid = 0;
    bool may_act = false;  ///< this peer may cycle, scale …
};

enum class State { connecting, connected, waiting, closed };

struct Reply {
    std::optional<nlohmann::json> result{};
    int error_code = 0;   ///< JSON-RPC's, when there is no result; -32000 … when the transport failed
    std::string error{};  ///< a sentence for people
    explicit operator bool() const { return result.has_value(); }
};

/// Told what happens. Every function has an empty default.
class Observer {
public:
    virtual ~Observer() = default;
    /// `detail` says why (an error's text) and, for `waiting`, when it tries again.
    virtual void on_state(State, const std::string& /*detail*/) {}
    virtual void on_hello(const Hello&) {}
    virtual void on_directory(wire::Directory&&) {}
    virtual void on_tick(wire::Tick&&) {}
    virtual void on_events(wire::Events&&) {}
};

class Session {
public:
    /// `observer` must outlive the session.
    Session(boost::asio::io_context& io, Options options, Observer& observer);
    /// Closes at once; callbacks of pending calls are not run.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void start();
    /// Says goodbye and stays closed; pending calls are answered with an error.
    void stop();
    /// Replaces the subscription, now if connected and at each reconnect.
    void subscribe(std::optional<Subscription> subscription);
    /// Answered exactly once: with the result, the agent's error, a time-out, or "not connected".
    void call(std::string method, nlohmann::json params, std::function<void(Reply)> done);

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace signalbox::client
