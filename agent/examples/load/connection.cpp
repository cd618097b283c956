#include "agent/examples/load/connection.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <utility>

namespace signalbox::load {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::uint64_t kMostBodyBytes = 64u << 20;

Failure failure_of(const error_code& error) {
    if (error == asio::error::connection_refused || error == boost::system::errc::no_such_file_or_directory)
        return Failure::refused;
    if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return Failure::reset;
    if (error == http::error::end_of_stream || error == http::error::partial_message ||
        error == asio::error::eof)
        return Failure::closed;
    if (error == asio::error::timed_out) return Failure::timeout;
    return error.category() == http::make_error_code(http::error::end_of_stream).category()
               ? Failure::malformed
               : Failure::other;
}

bool is_tcp(const Connection::Endpoint& endpoint) {
    const int family = endpoint.protocol().family();
    return family == AF_INET || family == AF_INET6;
}

}  // namespace

Connection::Connection(asio::io_context& io, Endpoint endpoint, bool keep_alive, Done done)
    : socket_(io), endpoint_(std::move(endpoint)), keep_alive_(keep_alive), done_(std::move(done)) {}

void Connection::perform(const PreparedRequest& request, Clock::time_point intended,
                         Clock::time_point deadline) {
    request_ = &request;
    intended_ = intended;
    deadline_ = deadline;
    timed_out_ = false;
    ++exchange_;
    if (usable_again()) return exchange();
    close();
    connect();
}

void Connection::check_deadline(Clock::time_point now) {
    if (!request_ || now < deadline_) return;
    timed_out_ = true;
    close();  // the pending operation ends with operation_aborted
}

void Connection::close() {
    error_code ignored;
    socket_.close(ignored);
    buffer_.clear();
}

/// Open, and nothing to read: an idle connection on which something has come was closed, or is about to be
/// (408).
bool Connection::usable_again() {
    if (!socket_.is_open() || buffer_.size() != 0) return false;
    char byte = 0;
    const auto received = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Connection::connect() {
    error_code error;
    socket_.open(endpoint_.protocol(), error);
    const int on = 1;
    if (!error && is_tcp(endpoint_))
        ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (error) {
        asio::post(socket_.get_executor(),
                   [self = shared_from_this(), error] { self->finish(failure_of(error), error); });
        return;
    }
    socket_.async_connect(endpoint_, [self = shared_from_this()](const error_code& connect_error) {
        if (connect_error) return self->finish(failure_of(connect_error), connect_error);
        self->exchange();
    });
}

/// Writes and reads at the same time: a server may answer (413, 503) and close before it has taken the whole
/// request.
void Connection::exchange() {
    written_ = false;
    parser_.emplace();
    parser_->body_limit(kMostBodyBytes);
    parser_->skip(request_->is_head);
    const auto written = [self = shared_from_this(), exchange = exchange_](const error_code& error,
                                                                           std::size_t) {
        if (exchange == self->exchange_) self->written_ = !error;  // an error shows in the reading, too
    };
    asio::async_write(socket_, asio::buffer(request_->bytes), written);
    const auto read = [self = shared_from_this()](const error_code& error, std::size_t) {
        self->read_done(error);
    };
    http::async_read(socket_, buffer_, *parser_, read);
}

void Connection::read_done(const error_code& error) {
    if (error) return finish(failure_of(error), error);
    if (!keep_alive_ || !written_ || !parser_->get().keep_alive()) close();
    finish(parser_->get().result_int() < 400 ? std::nullopt : std::optional(Failure::status));
}

void Connection::finish(std::optional<Failure> failure, const error_code& error) {
    Outcome outcome;
    outcome.intended = intended_;
    outcome.failure = timed_out_ ? Failure::timeout : failure;
    if (!error) {
        outcome.status = static_cast<int>(parser_->get().result_int());
        outcome.body_bytes = parser_->get().body().size();
    } else {
        close();
        outcome.detail = error.message();
    }
    request_ = nullptr;
    done_(*this, outcome);
}

}  // namespace signalbox::load
