// A connection from accept to the first byte of its protocol: the proxy's header is read, TLS told from plain
// text, the handshake made. Then a StreamService gets the stream, whatever it may speak on it.
//
// Nothing is read beyond what belongs to the transport, so the stream that is handed on begins where the
// protocol does.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/server/accept_queue.hpp"
#include "agent/server/plain_stream.hpp"
#include "agent/server/transport/proxy_header.hpp"
#include "agent/server/transport/tls_server.hpp"
#include "agent/server/transport/tls_stream.hpp"
#include "agent/server/transport/transport.hpp"
#include "agent/server/worker_context.hpp"

namespace signalbox::server {

/// What is served on a listener.
class StreamService {
public:
    virtual ~StreamService() = default;
    /// `peer`: "127.0.0.1:4242", "[::1]:4242" or "unix"; who a trusted proxy says it is.
    virtual void serve(PlainStream stream, std::string peer, std::uint64_t now) = 0;
    virtual void serve(TlsStream stream, std::string peer, std::uint64_t now) = 0;
    /// What somebody is told, in plain text, who speaks no TLS where it is required.
    virtual std::string_view tls_required() const = 0;
};

/// A listener's transport as one worker has it. The TLS context is made here: after the fork.
struct WorkerTransport {
    WorkerTransport(Transport& shared_transport, StreamService& stream_service);

    Transport& shared;
    StreamService& service;
    std::optional<TlsServer> tls;
};

class Reception final : public OpenConnection, public std::enable_shared_from_this<Reception> {
public:
    Reception(WorkerContext& context, WorkerTransport& transport, PlainStream::Socket socket,
              const sockaddr_storage& peer);
    ~Reception() override;

    void start(std::uint64_t now);

    void deadline_passed(std::uint64_t now) override;
    void close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) override;
    std::uint64_t waits_since() const override { return began_; }
    void make_way(std::uint64_t now) override;

private:
    using error_code = boost::system::error_code;
    enum class Stage { proxy_header, first_byte, handshake, over };

    void enter(Stage stage, std::uint64_t now);
    void wait_for_input();
    void go_on(std::uint64_t now);

    void read_proxy_header(std::uint64_t now);
    void take_proxy_header(std::uint64_t now);
    void look_at_first_byte(std::uint64_t now);
    void shake_hands(std::uint64_t now);

    template <class Stream>
    void hand_over(Stream stream, std::uint64_t now);
    void refuse_plain_text(std::uint64_t now);
    void close(ProxyResult result);
    void close(HandshakeResult result);
    void close_socket();
    void leave(End why);

    WorkerContext& context_;
    WorkerTransport& transport_;
    PlainStream::Socket socket_;
    std::string peer_;
    std::optional<telemetry::ConnectionSlot> shown_;
    std::unique_ptr<ProxyHeader> header_;
    std::optional<TlsStream> tls_;  ///< has the socket from then on
    Stage stage_ = Stage::first_byte;
    std::uint64_t began_ = 0;  ///< the stage
    bool from_proxy_ = false;
};

}  // namespace signalbox::server
