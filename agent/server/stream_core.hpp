// A stream handler's connection from the first byte of its protocol to its end, over whatever transport.
//
// Reading and writing are coroutines that try first and wait at a Gate when there is nothing to be had; the transport
// (StreamConnection), a deadline, a drain or the end of the connection opens it. What waits in the kernel is never in
// flight into a buffer, so a coroutine can be cancelled at any of these points and another one can go on.
#pragma once

#include <memory>
#include <string>

#include "agent/server/gate.hpp"
#include "agent/server/handled_connection.hpp"
#include "agent/server/read_buffer.hpp"
#include "agent/server/turns.hpp"
#include "signalbox/stream.hpp"

namespace signalbox::server {

struct StreamSite : HandlerSite {
    StreamHandler handler;
    StreamLimits limits;
    Counter received_bytes;
    Counter sent_bytes;

    bool has_room() const { return limits.connections == 0 || open < limits.connections; }
};

}  // namespace signalbox::server

namespace signalbox::detail {

class StreamCore : public server::HandledConnection {
public:
    StreamCore(server::WorkerContext& context, std::shared_ptr<server::StreamSite> site, std::string peer,
               std::shared_ptr<const TlsFacts> tls);

    /// Calls the handler.
    void start(std::uint64_t now) { begin(now); }

    // what Connection promises
    awaitable<bool> more();
    awaitable<std::string_view> read_some();
    awaitable<std::string_view> read_until(std::string_view delimiter, std::size_t most);
    awaitable<std::string_view> read_exactly(std::size_t bytes);
    awaitable<void> write(std::string_view bytes);
    awaitable<void> until_draining();
    const TlsFacts* tls() const { return tls_.get(); }
    void begin_request(std::string_view what);
    void shutdown();
    void close();
    void reset();

    void deadline_passed(std::uint64_t now) override;
    void close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) override;

protected:
    using error_code = boost::system::error_code;

    // the transport's; nothing read and no error: there is nothing yet
    virtual std::size_t read_now(char* to, std::size_t size, error_code& ec) = 0;
    virtual std::size_t write_now(std::string_view bytes, error_code& ec) = 0;
    /// readable() or writable() follows.
    virtual void await_readable() = 0;
    virtual void await_writable() = 0;
    virtual void end_output() = 0;
    virtual void close_stream() = 0;
    virtual void reset_stream() = 0;
    virtual int release_stream() = 0;

    void readable();
    void writable();

private:
    enum class Patience { message, goodbye };
    class Reading;
    class Writing;
    struct WriteDeadline final : server::DeadlineWheel::Entry {
        explicit WriteDeadline(StreamCore& waiting) : core(waiting) {}
        void deadline_passed(std::uint64_t now) override;
        StreamCore& core;
    };

    std::shared_ptr<StreamCore> self() { return std::static_pointer_cast<StreamCore>(shared_from_this()); }

    awaitable<void> handle() override;
    void finish(const std::exception_ptr& failure) override { close_down(!failure); }
    server::End whose_fault() const override;

    awaitable<bool> receive(Patience patience);
    std::string_view take(std::size_t bytes);
    void came(std::size_t bytes);
    void show();
    void set(server::DeadlineWheel::Entry& entry, std::uint64_t now, std::chrono::milliseconds after);
    void throw_if_over() const;
    [[noreturn]] void blame_peer(error_code ec);
    [[noreturn]] void break_off(error_code ec);
    void close_down(bool in_order);

    const std::shared_ptr<server::StreamSite> site_;
    const std::shared_ptr<const TlsFacts> tls_;
    server::Gate input_gate_;
    server::Gate output_gate_;
    server::Gate drain_gate_;
    server::Turns turns_;
    WriteDeadline write_deadline_{*this};
    server::ReadBuffer input_;
    std::size_t taken_ = 0;  ///< of input_, by who still looks at it
    std::size_t least_read_;
    error_code fault_;  ///< of the peer, if the handler fails now
    error_code over_;   ///< why nothing more can be read or written
    bool reading_ = false;
    bool writing_ = false;
    bool message_begun_ = false;  ///< the one that is being read
    bool awaiting_input_ = false;
    bool awaiting_room_ = false;
    bool input_ended_ = false;
    bool read_timed_out_ = false;
    bool write_timed_out_ = false;
};

}  // namespace signalbox::detail
