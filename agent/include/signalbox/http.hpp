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
// Handlers run on the worker's event loop, one at a time; one that computes for long holds up the others. A
// handler that throws gives 500, is counted and logged. (GCC 12: no capturing lambda inside a co_await
// expression.)
#pragma once

#include <boost/asio/awaitable.hpp>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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
    std::string peer;  ///< "127.0.0.1:4242", "[::1]:4242" or "unix"
    std::vector<std::pair<std::string, std::string>> parameters;  ///< of the route: {"box", "7"}

    /// A parameter of the route; empty when the route has none of that name.
    std::string_view parameter(std::string_view name) const;
    /// The first value of `name` in the query, decoded ("+" and %XX).
    std::optional<std::string> query_value(std::string_view name) const;
};

struct Response {
    int status = 200;
    Headers
        headers;  ///< without Content-Length, Date, Connection and Transfer-Encoding, which the server sets
    std::string body;
    bool close = false;  ///< end the connection after this response

    static Response text(std::string body, int status = 200);
    static Response html(std::string body, int status = 200);
    /// `body` is JSON text already.
    static Response json(int status, std::string body);
};

using Handler = std::function<Response(const Request&)>;
using AsyncHandler = std::function<awaitable<Response>(Request)>;

/// Which function answers. Built before the server starts; const and shared by the workers after that.
class Router {
public:
    using Endpoint = std::variant<Handler, AsyncHandler>;

    /// `pattern` is a path whose segments may be ":name" (any one segment) and whose last may be "*name" (the
    /// rest). A literal segment wins over a parameter. HEAD is answered by the GET handler. Throws
    /// std::invalid_argument for a malformed pattern or one that is there already.
    template <class Function>
    Router& handle(std::string_view method, std::string_view pattern, Function function) {
        if constexpr (std::is_invocable_r_v<awaitable<Response>, Function, Request>)
            return add(method, pattern, AsyncHandler(std::move(function)));
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

    /// What answers `request`, whose parameters are filled in; when nothing does, `status` is 404, or 405
    /// with `allow`.
    struct Match {
        const Endpoint* endpoint = nullptr;
        int status = 200;
        std::string allow;  ///< "GET, HEAD, POST", for 405
    };
    Match match(Request& request) const;

private:
    Router& add(std::string_view method, std::string_view pattern, Endpoint endpoint);

    struct Route {
        std::string method;
        std::vector<std::string> segments;
        Endpoint endpoint;
    };
    std::vector<Route> routes_;
};

}  // namespace signalbox
