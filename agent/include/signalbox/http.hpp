// HTTP handlers: what a request brings, what a response is, and which function answers.
//
//     signalbox::Router router;
//     router.get("/hello", [](const signalbox::Request&) { return signalbox::Response::text("Hello!\n"); });
//     router.post("/letters/:box", [](const signalbox::Request& request) {
//         return signalbox::Response::json(200, store(request.parameter("box"), request.body));
//     });
//     router.get("/slow", [](signalbox::Request request) -> signalbox::awaitable<signalbox::Response> {
//         co_await fetch_something(request.query);
//         co_return signalbox::Response::text("done\n");
//     });
//
//     router.get("/ticks", [](const signalbox::Request&) {
//         return signalbox::Response::stream("text/event-stream", ticks);
//     });
//     router.post("/upload", upload);
//     router.files("/static", "/var/www");
//
//     awaitable<void> ticks(signalbox::ResponseStream& out) {
//         while (!out.stopping()) {
//             co_await out.write("data: tick\n\n");
//             co_await out.pause(std::chrono::seconds(1));
//         }
//     }
//     awaitable<signalbox::Response> upload(signalbox::Request, signalbox::RequestBody& body) {
//         std::size_t bytes = 0;
//         for (auto piece = co_await body.read(); !piece.empty(); piece = co_await body.read()) bytes += piece.size();
//         co_return signalbox::Response::text(std::to_string(bytes));
//     }
//
// Handlers run on the worker's event loop, one at a time; one that computes for long holds up the others. A
// handler that throws gives 500, is counted and logged. (GCC 12 miscompiles two things in coroutines: a capturing
// lambda inside a co_await expression, and co_await in the condition of an if, while or switch.)
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "signalbox/transport.hpp"
#include "signalbox/websocket.hpp"

namespace signalbox {

template <class T>
using awaitable = boost::asio::awaitable<T>;

/// Header fields in the order received or to be sent; names compare without regard to case. Cleared fields
/// are kept and used again, so that reading one request after another allocates nothing.
class Headers {
public:
    struct Field {
        std::string name;
        std::string value;
    };

    Headers() = default;
    Headers(const Headers& other) : fields_(other.begin(), other.end()), size_(other.size_) {}
    Headers(Headers&& other) noexcept
        : fields_(std::move(other.fields_)), size_(std::exchange(other.size_, 0)) {}
    Headers& operator=(Headers other) noexcept {
        fields_.swap(other.fields_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Headers() = default;

    void add(std::string_view name, std::string_view value);
    /// Replaces every field of that name.
    void set(std::string_view name, std::string_view value);
    /// The first field of that name.
    std::optional<std::string_view> find(std::string_view name) const;
    bool has(std::string_view name) const { return find(name).has_value(); }
    void clear() { size_ = 0; }

    const Field* begin() const { return fields_.data(); }
    const Field* end() const { return fields_.data() + size_; }
    std::size_t size() const { return size_; }

private:
    std::vector<Field> fields_;
    std::size_t size_ = 0;  ///< fields_ beyond are spare
};

struct Request {
    std::string method;  ///< as sent: "GET"
    std::string target;  ///< as sent: "/letters/7?full=1"
    std::string path;    ///< percent-decoded, dot segments removed: "/letters/7"
    std::string query;   ///< after the '?', undecoded: "full=1"
    int version = 11;    ///< 10 or 11
    Headers headers;
    std::string body;
    std::string peer;                     ///< "127.0.0.1:4242", "[::1]:4242" or "unix"
    std::shared_ptr<const TlsFacts> tls;  ///< null for plain text
    std::vector<std::pair<std::string, std::string>> parameters;  ///< of the route: {"box", "7"}

    /// A parameter of the route; empty when the route has none of that name.
    std::string_view parameter(std::string_view name) const;
    /// The first value of `name` in the query, decoded ("+" and %XX).
    std::optional<std::string> query_value(std::string_view name) const;
};

/// The body of a response while it is produced. A producer is a coroutine on the worker's event loop; it may
/// await anything, and what it has written arrives as soon as it is written.
class ResponseStream {
public:
    /// Returns when the kernel has taken all of `bytes`, which have to stay valid until then: a client that
    /// reads slowly holds its producer up, and a stream never keeps more than 64 KiB and what they compress to.
    /// Throws boost::system::system_error once the client has gone or has not read anything for the write
    /// deadline; a producer need not catch it. For HEAD there is no producer.
    virtual awaitable<void> write(std::string_view bytes) = 0;
    /// Waits, until stopping() at most.
    virtual awaitable<void> pause(std::chrono::milliseconds time) = 0;
    /// The connection has ended, or the worker drains: end soon, so that the client may come back to another
    /// worker.
    virtual bool stopping() const = 0;

protected:
    ~ResponseStream() = default;
};

/// Returns at the end of the body. One that throws ends the connection at once, so that the client can tell
/// that something is missing.
using StreamProducer = std::function<awaitable<void>(ResponseStream&)>;

/// What is sent instead of Response::body: a stream or a file.
struct ResponseSource;

struct Response {
    int status = 200;
    Headers
        headers;  ///< without Content-Length, Date, Connection and Transfer-Encoding, which the server sets
    std::string body;
    bool close = false;                              ///< end the connection after this response
    std::shared_ptr<const ResponseSource> source{};  ///< set by stream() and Router::files(), otherwise empty

    static Response text(std::string body, int status = 200);
    static Response html(std::string body, int status = 200);
    /// `body` is JSON text already.
    static Response json(int status, std::string body);
    /// A body of unknown length, produced after the header has been sent: in chunks for HTTP/1.1, up to the
    /// end of the connection for 1.0. `type` is the Content-Type.
    static Response stream(std::string_view type, StreamProducer producer, int status = 200);
};

/// The body of a request while it comes in. Nothing is read from the client before its handler asks.
class RequestBody {
public:
    /// The next piece, of 64 KiB at most, valid until the next call; empty at the end. A client that waits for
    /// "100 Continue" is told at the first call. Throws boost::system::system_error when the client has gone,
    /// sends nothing for the body deadline, or sends what is malformed or beyond HttpLimits::streamed_body; a
    /// handler that lets it pass has the right refusal sent (408, 400, 413).
    virtual awaitable<std::string_view> read() = 0;
    /// What the client has announced; nothing for chunks.
    virtual std::optional<std::uint64_t> length() const = 0;

protected:
    ~RequestBody() = default;
};

using Handler = std::function<Response(const Request&)>;
using AsyncHandler = std::function<awaitable<Response>(Request)>;
/// Called when the header is there, with an empty Request::body; the RequestBody lives until it returns. What
/// it has not read is skipped if it has come in already, and ends the connection otherwise.
using BodyHandler = std::function<awaitable<Response>(Request, RequestBody&)>;

struct WebSocketEndpoint;

struct FileOptions {
    std::string index = "index.html";  ///< what a directory is answered with; empty: 404
    bool dot_files = false;       ///< also those whose name, or a directory's above them, begins with '.'
    std::string cache_control{};  ///< "max-age=3600"; empty: no such field
};

/// Which function answers. Built before the server starts; const and shared by the workers after that.
class Router {
public:
    using Endpoint =
        std::variant<Handler, AsyncHandler, BodyHandler, std::shared_ptr<const WebSocketEndpoint>>;

    /// `pattern` is a path whose segments may be ":name" (any one segment) and whose last may be "*name" (the
    /// rest). A literal segment wins over a parameter. HEAD is answered by the GET handler. Throws
    /// std::invalid_argument for a malformed pattern or one that is there already.
    template <class Function>
    Router& handle(std::string_view method, std::string_view pattern, Function function) {
        if constexpr (std::is_invocable_r_v<awaitable<Response>, Function, Request>)
            return add(method, pattern, AsyncHandler(std::move(function)));
        else if constexpr (std::is_invocable_r_v<awaitable<Response>, Function, Request, RequestBody&>)
            return add(method, pattern, BodyHandler(std::move(function)));
        else
            return add(method, pattern, Handler(std::move(function)));
    }
    template <class Function>
    Router& get(std::string_view pattern, Function function) {
        return handle("GET", pattern, std::move(function));
    }
    template <class Function>
    Router& post(std::string_view pattern, Function function) {
        return handle("POST", pattern, std::move(function));
    }

    /// A WebSocket: see websocket.hpp. Who asks for something else is answered as RFC 6455 says, 426 as a rule.
    Router& websocket(std::string_view pattern, WebSocketHandler handler, WebSocketOptions options);
    Router& websocket(std::string_view pattern, WebSocketHandler handler);

    /// GET and HEAD of "PREFIX/..." from the regular files below `directory`: with ETag and Last-Modified,
    /// conditional requests, one range (of several, the whole file is sent), and the Content-Type by the name.
    /// Nothing outside the directory is reached, by ".." or by links. "PREFIX/d" is sent on to "PREFIX/d/". A
    /// file that becomes shorter while it is sent ends the connection. Opening and reading happen in the event
    /// loop, so the directory should be on a local disk. Throws std::system_error ("/var/www: No such file or
    /// directory").
    Router& files(std::string_view prefix, const std::string& directory, FileOptions options = {});

    /// What answers `request`, whose parameters are filled in; when nothing does, `status` is 404, or 405
    /// with `allow`, or for "OPTIONS *" 204 with `allow`.
    struct Match {
        const Endpoint* endpoint = nullptr;
        int status = 200;
        std::string allow;  ///< "GET, HEAD, POST", for 405
    };
    Match match(Request& request) const;
    /// Whether any handler takes its body in pieces.
    bool reads_bodies() const { return reads_bodies_; }
    bool has_websockets() const { return has_websockets_; }

private:
    Router& add(std::string_view method, std::string_view pattern, Endpoint endpoint);

    struct Route {
        std::string method;
        std::vector<std::string> segments;
        Endpoint endpoint;
    };
    std::vector<Route> routes_;
    bool reads_bodies_ = false;
    bool has_websockets_ = false;
};

}  // namespace signalbox
