#include "agent/server/stream_service.hpp"

#include "agent/server/stream_core.hpp"
#include "agent/server/transport/reception.hpp"

namespace signalbox::server {

namespace {

template <class Stream>
class StreamConnection final : public detail::StreamCore {
public:
    StreamConnection(WorkerContext& context, std::shared_ptr<StreamSite> site, Stream stream,
                     std::string peer)
        : StreamCore(context, std::move(site), std::move(peer), facts_of(stream)),
          stream_(std::move(stream)) {}

private:
    std::shared_ptr<StreamConnection> self() {
        return std::static_pointer_cast<StreamConnection>(shared_from_this());
    }

    std::size_t read_now(char* to, std::size_t size, error_code& ec) override {
        const std::size_t bytes = stream_.read_now(to, size, ec);
        if (ec == boost::asio::error::would_block) ec = {};
        return bytes;
    }
    std::size_t write_now(std::string_view bytes, error_code& ec) override {
        return stream_.write_now(bytes, {}, ec);
    }
    void await_readable() override {
        stream_.async_wait_readable([self = self()](error_code) { self->readable(); });
    }
    void await_writable() override {
        stream_.async_wait_writable([self = self()](error_code) { self->writable(); });
    }
    void end_output() override { stream_.shutdown(); }
    void close_stream() override { stream_.close(); }
    void reset_stream() override { stream_.reset(); }
    int release_stream() override { return stream_.release(); }

    Stream stream_;
};

class StreamHandlerService final : public StreamService {
public:
    StreamHandlerService(WorkerContext& context, std::shared_ptr<StreamSite> site)
        : context_(context), site_(std::move(site)) {}

    void serve(PlainStream stream, std::string peer, std::uint64_t now) override {
        start(std::move(stream), std::move(peer), now);
    }
    void serve(TlsStream stream, std::string peer, std::uint64_t now) override {
        start(std::move(stream), std::move(peer), now);
    }
    std::string_view tls_required() const override { return {}; }
    bool has_room() const override { return site_->has_room(); }

private:
    template <class Stream>
    void start(Stream stream, std::string peer, std::uint64_t now) {
        if (!has_room()) {  // others were quicker with their handshakes
            context_.metrics.shed_connection_limit.add();
            stream.reset();
            return stream.close();
        }
        std::make_shared<StreamConnection<Stream>>(context_, site_, std::move(stream), std::move(peer))
            ->start(now);
    }

    WorkerContext& context_;
    const std::shared_ptr<StreamSite> site_;
};

class StreamProtocol final : public Protocol {
public:
    explicit StreamProtocol(StreamSite site) : site_(std::move(site)) {}

    std::string_view name() const override { return "stream"; }
    std::string_view unavailable() const override { return {}; }
    std::unique_ptr<StreamService> make_service(WorkerContext& context,
                                                const Listener& listener) const override {
        auto site = std::make_shared<StreamSite>(site_);
        site->limits = listener.options.stream;  // which a reload may have changed meanwhile
        site->address = listener.address;
        return std::make_unique<StreamHandlerService>(context, std::move(site));
    }

private:
    const StreamSite site_;
};

}  // namespace

std::shared_ptr<const Protocol> make_stream_protocol(Telemetry& telemetry, StreamHandler handler,
                                                     const ListenerOptions& options) {
    return std::make_shared<StreamProtocol>(StreamSite{
        {{telemetry, "stream_failures_total", "Stream handlers that an exception has left", {"failure"}}},
        std::move(handler),
        options.stream,
        {telemetry, "stream_received_bytes_total", "Bytes read from streams"},
        {telemetry, "stream_sent_bytes_total", "Bytes written to streams"}});
}

}  // namespace signalbox::server
