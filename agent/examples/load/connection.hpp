// One connection of the load generator: sends a request, reads the response, says how it went, and stays open
// if it may.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/examples/load/report.hpp"
#include "agent/examples/load/scenario.hpp"

namespace signalbox::load {

using Clock = std::chrono::steady_clock;

/// How one request went.
struct Outcome {
    Clock::time_point intended;  ///< when it should have been sent
    int status = 0;              ///< 0: no response
    std::uint64_t body_bytes = 0;
    std::optional<Failure> failure;
    std::string detail;  ///< of Failure::other
};

class Connection : public std::enable_shared_from_this<Connection> {
public:
    using Endpoint = boost::asio::generic::stream_protocol::endpoint;
    using Done = std::function<void(Connection&, const Outcome&)>;

    /// `done` is called once for every perform(), never from within it.
    Connection(boost::asio::io_context& io, Endpoint endpoint, bool keep_alive, Done done);

    /// Sends `request` (which must live until then) now, on the open connection or on a new one. An idle
    /// connection that the server has closed is replaced without ado: nothing had been sent on it.
    void perform(const PreparedRequest& request, Clock::time_point intended, Clock::time_point deadline);
    /// Fails the request under way, if it is past its deadline.
    void check_deadline(Clock::time_point now);
    void close();

private:
    bool usable_again();
    void connect();
    void exchange();
    void read_done(const boost::system::error_code& error);
    void finish(std::optional<Failure> failure, const boost::system::error_code& error = {});

    boost::asio::generic::stream_protocol::socket socket_;
    Endpoint endpoint_;
    bool keep_alive_;
    Done done_;

    const PreparedRequest* request_ = nullptr;  ///< null: idle
    Clock::time_point intended_;
    Clock::time_point deadline_;
    bool timed_out_ = false;
    bool written_ = false;
    std::uint64_t exchange_ = 0;  ///< tells a late handler that its request is over
    boost::beast::flat_buffer buffer_;
    std::optional<boost::beast::http::response_parser<boost::beast::http::string_body>> parser_;
};

}  // namespace signalbox::load
