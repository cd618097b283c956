#include "agent/server/stream_core.hpp"

#include <algorithm>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <cassert>

namespace signalbox::detail {

namespace {

namespace error = boost::asio::error;
using telemetry::ConnectionState;

constexpr std::size_t kLeastRead = 4 * 1024;
constexpr std::size_t kLeastBulkRead = 64 * 1024;  ///< by one who fills what he is given
constexpr std::size_t kPerTurn = 256 * 1024;

}  // namespace

/// While somebody reads: one deadline up to the first byte of the message, another one up to its end.
class StreamCore::Reading {
public:
    explicit Reading(StreamCore& core) : core_(core.self()) {
        assert(!core.reading_ && "one coroutine reads at a time");
        core.input_.consume(std::exchange(core.taken_, 0));
        core.reading_ = true;
        core.read_timed_out_ = false;
        core.message_begun_ = !core.input_.empty();
        const StreamLimits& limits = core.site_->limits;
        core.set(core, telemetry::monotonic_ns(), core.message_begun_ ? limits.read : limits.idle);
        core.show();
    }
    ~Reading() {
        core_->reading_ = false;
        core_->context_.deadlines.clear(*core_);
        core_->show();
    }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

private:
    const std::shared_ptr<StreamCore> core_;
};

/// While somebody writes. What is given up halfway leaves the peer with a part of a message: the connection is over.
class StreamCore::Writing {
public:
    explicit Writing(StreamCore& core) : core_(core.self()) {
        assert(!core.writing_ && "one coroutine writes at a time");
        core.writing_ = true;
        core.write_timed_out_ = false;
    }
    ~Writing() {
        core_->writing_ = false;
        core_->context_.deadlines.clear(core_->write_deadline_);
        if (!complete_ && !core_->context_.io.stopped()) core_->close_down(false);
        core_->show();
    }
    Writing(const Writing&) = delete;
    Writing& operator=(const Writing&) = delete;
    void complete() { complete_ = true; }

private:
    const std::shared_ptr<StreamCore> core_;
    bool complete_ = false;
};

StreamCore::StreamCore(server::WorkerContext& context, std::shared_ptr<server::StreamSite> site,
                       std::string peer, std::shared_ptr<const TlsFacts> tls)
    : HandledConnection(context, site, std::move(peer)),
      site_(std::move(site)),
      tls_(std::move(tls)),
      input_gate_(context.io.get_executor()),
      output_gate_(context.io.get_executor()),
      drain_gate_(context.io.get_executor()),
      turns_(context.io.get_executor(), kPerTurn),
      least_read_(kLeastRead) {}

awaitable<void> StreamCore::handle() {
    Connection connection(self());
    awaitable<void> handling = site_->handler(std::move(connection));
    co_await std::move(handling);
}

// ---- input

awaitable<bool> StreamCore::more() {
    const Reading reading(*this);
    if (message_begun_) co_return true;
    co_return co_await receive(Patience::goodbye);
}

awaitable<std::string_view> StreamCore::read_some() {
    const Reading reading(*this);
    if (!message_begun_) {
        const bool any = co_await receive(Patience::message);
        if (!any) co_return std::string_view();
    }
    co_return take(input_.unread().size());
}

awaitable<std::string_view> StreamCore::read_until(std::string_view delimiter, std::size_t most) {
    assert(!delimiter.empty());
    const Reading reading(*this);
    most = std::min(most, static_cast<std::size_t>(site_->limits.message));
    for (std::size_t searched = 0;;) {
        const std::string_view input = input_.unread();
        const std::size_t from = searched < delimiter.size() ? 0 : searched - delimiter.size() + 1;
        const std::size_t found = input.find(delimiter, from);
        if (found != input.npos && found + delimiter.size() <= most) co_return take(found + delimiter.size());
        if (found != input.npos || input.size() >= most) blame_peer(error::message_size);
        searched = input.size();
        const bool any = co_await receive(Patience::message);
        if (any) continue;
        if (searched > 0) blame_peer(error::eof);
        co_return std::string_view();
    }
}

awaitable<std::string_view> StreamCore::read_exactly(std::size_t bytes) {
    const Reading reading(*this);
    if (bytes > static_cast<std::size_t>(site_->limits.message)) blame_peer(error::message_size);
    while (input_.unread().size() < bytes) {
        const bool any = co_await receive(Patience::message);
        if (any) continue;
        if (message_begun_) blame_peer(error::eof);
        co_return std::string_view();
    }
    co_return take(bytes);
}

/// Appends to the input; false at its end, or when it is time to say goodbye.
awaitable<bool> StreamCore::receive(Patience patience) {
    for (;;) {
        throw_if_over();
        if (input_ended_) co_return false;
        error_code ec;
        const auto [to, size] = input_.space(least_read_);
        const std::size_t bytes = read_now(to, size, ec);
        if (bytes > 0) {
            least_read_ = bytes == size ? kLeastBulkRead : kLeastRead;
            came(bytes);
            if (turns_.over_after(bytes)) co_await turns_.pass();
            co_return true;
        }
        if (ec == error::eof) {
            input_ended_ = true;
            co_return false;
        }
        if (ec) break_off(ec);
        if (patience == Patience::goodbye && (context_.draining || read_timed_out_)) co_return false;
        if (read_timed_out_) blame_peer(error::timed_out);
        if (input_.empty() && input_.capacity() > kLeastBulkRead) input_ = server::ReadBuffer();
        if (!std::exchange(awaiting_input_, true)) await_readable();
        co_await input_gate_.wait();
        // Who is cancelled in this very moment must not take input along.
        const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
        if (cancellation.cancelled() != boost::asio::cancellation_type::none)
            throw boost::system::system_error(error::operation_aborted);
    }
}

void StreamCore::came(std::size_t bytes) {
    input_.commit(bytes);
    site_->received_bytes.add(bytes);
    shown_.received(bytes);
    if (std::exchange(message_begun_, true)) return;
    set(*this, telemetry::monotonic_ns(), site_->limits.read);
    show();
}

std::string_view StreamCore::take(std::size_t bytes) {
    taken_ = bytes;
    return input_.unread().substr(0, bytes);
}

void StreamCore::readable() {
    awaiting_input_ = false;
    input_gate_.open();
}

// ---- output

awaitable<void> StreamCore::write(std::string_view bytes) {
    Writing writing(*this);
    const std::size_t all = bytes.size();
    while (!bytes.empty()) {
        throw_if_over();
        error_code ec;
        const std::size_t sent = write_now(bytes, ec);
        if (ec) break_off(ec);
        site_->sent_bytes.add(sent);
        shown_.sent(sent);
        bytes.remove_prefix(sent);
        if (bytes.empty()) break;
        if (write_timed_out_) break_off(error::timed_out);
        if (sent > 0 || bytes.size() == all) {
            set(write_deadline_, telemetry::monotonic_ns(), site_->limits.write);
            show();
        }
        if (!std::exchange(awaiting_room_, true)) await_writable();
        co_await output_gate_.wait();
    }
    writing.complete();
    if (turns_.over_after(all)) co_await turns_.pass();
}

void StreamCore::writable() {
    awaiting_room_ = false;
    output_gate_.open();
}

void StreamCore::shutdown() {
    if (!is_closed()) end_output();
}

// ---- deadlines, drains

void StreamCore::set(server::DeadlineWheel::Entry& entry, std::uint64_t now,
                     std::chrono::milliseconds after) {
    if (after.count() > 0)
        context_.deadlines.set(entry, now, after);
    else
        context_.deadlines.clear(entry);
}

void StreamCore::deadline_passed(std::uint64_t) {
    read_timed_out_ = true;
    input_gate_.open();
}

void StreamCore::WriteDeadline::deadline_passed(std::uint64_t) {
    core.write_timed_out_ = true;
    core.output_gate_.open();
}

void StreamCore::close_if_idle(std::uint64_t, std::chrono::nanoseconds) {
    drain_gate_.open();
    if (reading_ && !message_begun_) input_gate_.open();
}

awaitable<void> StreamCore::until_draining() {
    const auto self = shared_from_this();
    while (!context_.draining) {
        throw_if_over();
        co_await drain_gate_.wait();
    }
}

// ---- what is shown

void StreamCore::show() {
    if (is_closed()) return;
    const ConnectionState state = !writing_ && !reading_ ? ConnectionState::handling
                                  : writing_             ? ConnectionState::writing
                                  : message_begun_       ? ConnectionState::reading
                                                         : ConnectionState::idle;
    shown_.enter(state, telemetry::monotonic_ns());
}

void StreamCore::begin_request(std::string_view what) {
    context_.seat.count_request();
    if (is_closed()) return;
    shown_.begin_request(what);
    shown_.count_request();
}

// ---- the end

void StreamCore::throw_if_over() const {
    if (over_) throw boost::system::system_error(over_);
}

void StreamCore::blame_peer(error_code ec) {
    fault_ = ec;
    throw boost::system::system_error(ec);
}

void StreamCore::break_off(error_code ec) {
    over_ = ec;
    close_down(false);
    throw boost::system::system_error(ec);
}

server::End StreamCore::whose_fault() const {
    const error_code fault = over_ ? over_ : fault_;
    return !fault                      ? server::End::handler
           : fault == error::timed_out ? server::End::deadline
                                       : server::End::client;
}

void StreamCore::close() {
    close_down(true);
}

void StreamCore::reset() {
    close_down(false);
}

void StreamCore::close_down(bool in_order) {
    if (is_closed()) return;
    if (!over_) over_ = error::operation_aborted;
    if (!in_order) {
        reset_stream();
        close_stream();
    } else if (input_ended_) {
        close_stream();
    } else if (const int descriptor = release_stream(); descriptor >= 0) {
        context_.lingering.add(descriptor, telemetry::monotonic_ns());
    }
    input_gate_.open();
    output_gate_.open();
    drain_gate_.open();
    closed();
}

}  // namespace signalbox::detail
