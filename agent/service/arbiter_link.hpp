// The line to the arbiter: one datagram for a command, one for its answer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>

#include "agent/supervisor/commands.hpp"

namespace signalbox::service {

/// What asks the arbiter; a test has its own.
class Commands {
public:
    /// No answer: the arbiter does not answer in time, or cannot be asked.
    using Done = std::function<void(std::optional<supervisor::Answer>)>;
    virtual ~Commands() = default;
    /// Fills in the id. `done` is called once, from the event loop or at once.
    virtual void ask(supervisor::Command command, Done done) = 0;
};

class ArbiterLink : public Commands {
public:
    static constexpr std::chrono::seconds kPatience{5};
    static constexpr std::size_t kMaxPending = 64;

    /// Takes a duplicate of the SOCK_SEQPACKET socket. `closed` is called when the arbiter's end is gone.
    ArbiterLink(boost::asio::io_context& io, int socket, std::function<void()> closed);

    void ask(supervisor::Command command, Done done) override;

private:
    struct Pending {
        boost::asio::steady_timer timeout;
        Done done;
    };
    void wait_for_answers();
    /// False when the other end is gone.
    bool read_answers();
    void finish(std::uint64_t id, std::optional<supervisor::Answer> answer);

    boost::asio::posix::stream_descriptor socket_;
    std::function<void()> closed_;
    std::map<std::uint64_t, Pending> pending_;
    std::uint64_t last_id_ = 0;
};

}  // namespace signalbox::service
