#include "agent/server/http_service.hpp"

#include "agent/server/http_connection.hpp"
#include "agent/server/transport/reception.hpp"

namespace signalbox::server {

namespace {

class HttpService final : public StreamService {
public:
    HttpService(WorkerContext& context, std::shared_ptr<const HttpSite> site)
        : context_(context), site_(std::move(site)) {}

    void serve(PlainStream stream, std::string peer, std::uint64_t now) override {
        start(std::move(stream), std::move(peer), now);
    }
    void serve(TlsStream stream, std::string peer, std::uint64_t now) override {
        start(std::move(stream), std::move(peer), now);
    }
    std::string_view tls_required() const override {
        return "HTTP/1.1 400 Bad Request\r\n"
               "Connection: close\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: 64\r\n"
               "\r\n"
               "400 Bad Request: This port speaks TLS; use https:// for the URL\n";
    }

private:
    template <class Stream>
    void start(Stream stream, std::string peer, std::uint64_t now) {
        std::make_shared<HttpConnection<Stream>>(context_, site_, std::move(stream), std::move(peer), now)
            ->start(now);
    }

    WorkerContext& context_;
    const std::shared_ptr<const HttpSite> site_;
};

class Http final : public Protocol {
public:
    explicit Http(std::shared_ptr<const HttpSite> site) : site_(std::move(site)) {}

    std::string_view name() const override { return "http"; }
    std::string_view unavailable() const override {
        return "HTTP/1.1 503 Service Unavailable\r\n"
               "Retry-After: 1\r\n"
               "Connection: close\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Length: 24\r\n"
               "\r\n"
               "503 Service Unavailable\n";
    }
    std::unique_ptr<StreamService> make_service(WorkerContext& context,
                                                const Listener& listener) const override {
        auto site = std::make_shared<HttpSite>(*site_);
        site->limits = listener.options.limits;  // which a reload may have changed meanwhile
        site->compression = listener.options.compression;
        if (site->websockets) {
            site->websockets = std::make_shared<HandlerSite>(*site->websockets);
            site->websockets->address = listener.address;
        }
        return std::make_unique<HttpService>(context, std::move(site));
    }

private:
    const std::shared_ptr<const HttpSite> site_;
};

}  // namespace

std::shared_ptr<const Protocol> make_http(Telemetry& telemetry, Router router,
                                          const ListenerOptions& options) {
    auto site = std::make_shared<HttpSite>(HttpSite{std::move(router), options.limits, options.compression});
    if (site->router.has_websockets())
        site->websockets =
            std::make_shared<HandlerSite>(HandlerSite{{telemetry,
                                                       "websocket_failures_total",
                                                       "WebSocket handlers that an exception has left",
                                                       {"failure"}}});
    return std::make_shared<Http>(std::move(site));
}

}  // namespace signalbox::server
