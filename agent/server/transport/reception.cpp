#include "agent/server/transport/reception.hpp"

#include <sys/socket.h>

#include "agent/server/address.hpp"
#include "agent/server/transport/sniff.hpp"

namespace signalbox::server {

WorkerTransport::WorkerTransport(Transport& shared_transport, StreamService& stream_service,
                                 HandshakeThread& worker_handshakes)
    : shared(shared_transport), service(stream_service), handshakes(worker_handshakes) {
    if (shared.tls) tls.emplace(*shared.tls, *shared.ticket_keys, *shared.last_good);
}

Reception::Reception(WorkerContext& context, WorkerTransport& transport, PlainStream::Socket socket,
                     const sockaddr_storage& peer)
    : context_(context),
      transport_(transport),
      socket_(std::move(socket)),
      peer_(format_address(peer)),
      from_proxy_(transport.shared.proxy && transport.shared.trusted.contains(peer)) {
    context_.opened(*this);
}

Reception::~Reception() {
    if (stage_ != Stage::over) context_.abandoned(*this);
}

void Reception::start(std::uint64_t now) {
    shown_.emplace(context_.table.open(peer_, now));
    if (from_proxy_) {
        header_ = std::make_unique<ProxyHeader>();
        enter(Stage::proxy_header, now);
    } else {
        enter(Stage::first_byte, now);
    }
    go_on(now);
}

void Reception::enter(Stage stage, std::uint64_t now) {
    stage_ = stage;
    began_ = now;
    if (stage == Stage::proxy_header) {
        shown_->begin_request("PROXY header");
        context_.deadlines.set(*this, now, transport_.shared.proxy->deadline);
    } else if (stage == Stage::first_byte && transport_.tls) {
        context_.deadlines.set(*this, now, transport_.tls->options().handshake_deadline);
    } else if (stage == Stage::handshake) {
        shown_->begin_request("TLS handshake");
    }
    shown_->enter(telemetry::ConnectionState::reading, now);
}

void Reception::go_on(std::uint64_t now) {
    switch (stage_) {
        case Stage::proxy_header:
            return read_proxy_header(now);
        case Stage::first_byte:
            return look_at_first_byte(now);
        case Stage::handshake:
            return shake_hands(now);
        case Stage::over:
            return;
    }
}

void Reception::wait_for_input() {
    socket_.async_wait_for_more(PolledSocket::wait_read, [self = shared_from_this()](error_code ec) {
        if (!ec) self->go_on(telemetry::monotonic_ns());
    });
}

// ---- who it is

void Reception::read_proxy_header(std::uint64_t now) {
    while (header_->status() == ProxyHeader::Status::need_more) {
        const std::span<char> space = header_->space();
        const ssize_t bytes = ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
        if (bytes < 0 && errno == EINTR) continue;
        if (bytes < 0 && errno == EAGAIN) return wait_for_input();
        if (bytes <= 0) return close(ProxyResult::disconnected);
        header_->commit(static_cast<std::size_t>(bytes));
    }
    take_proxy_header(now);
}

void Reception::take_proxy_header(std::uint64_t now) {
    switch (header_->status()) {
        case ProxyHeader::Status::need_more:
            return;
        case ProxyHeader::Status::not_version_2:
            return close(ProxyResult::not_version_2);
        case ProxyHeader::Status::malformed:
            return close(ProxyResult::malformed);
        case ProxyHeader::Status::too_long:
            return close(ProxyResult::too_long);
        case ProxyHeader::Status::complete:
            break;
    }
    const bool announced = header_->client().has_value();
    transport_.shared.metrics.proxy_headers(announced ? ProxyResult::client : ProxyResult::none).add();
    if (announced) {
        peer_ = format_address(*header_->client());
        shown_.reset();
        shown_.emplace(context_.table.open(peer_, now));
    }
    header_.reset();
    context_.deadlines.clear(*this);
    enter(Stage::first_byte, now);
    look_at_first_byte(now);
}

// ---- what it speaks

void Reception::look_at_first_byte(std::uint64_t now) {
    if (!transport_.tls) return hand_over(PlainStream(std::move(socket_)), now);
    char first = 0;
    const ssize_t bytes = ::recv(socket_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return wait_for_input();
    if (bytes <= 0) return close(HandshakeResult::disconnected);
    if (begins_tls(first)) {
        enter(Stage::handshake, now);
        tls_.emplace(std::move(socket_), transport_.tls->context());
        return shake_hands(now);
    }
    if (transport_.tls->options().policy == TlsPolicy::required) return refuse_plain_text(now);
    hand_over(PlainStream(std::move(socket_)), now);
}

void Reception::shake_hands(std::uint64_t now) {
    if (goes_off_loop(now)) return;
    const Step step = make_step();
    const std::uint64_t done = telemetry::monotonic_ns();
    transport_.handshakes.spent(now, done);
    take_step(step, done);
}

bool Reception::goes_off_loop(std::uint64_t now) {
    if (!transport_.tls->options().handshake_thread || !tls_->next_step_is_costly()) return false;
    if (!transport_.handshakes.behind(now, context_.open > 1)) return false;
    away_ = transport_.handshakes.take(shared_from_this(), now);
    if (away_ && !std::exchange(off_loop_, true)) transport_.shared.metrics.handshakes_off_loop.add();
    return away_;
}

void Reception::back(std::uint64_t now, std::uint64_t waited) {
    away_ = false;
    transport_.shared.metrics.handshake_wait.record(std::chrono::nanoseconds(waited));
    if (too_late_) return close(HandshakeResult::deadline);
    take_step(step_, now);
}

Reception::Step Reception::make_step() {
    Step step{};
    step.wants = tls_->handshake(step.ec);
    if (step.ec) step.failure = handshake_failure();
    return step;
}

void Reception::take_step(const Step& step, std::uint64_t now) {
    if (step.ec) {
        const HandshakeResult why = step.failure;
        if (why == HandshakeResult::disconnected) return close(why);
        // The alert that says why is to arrive before the end does.
        transport_.shared.metrics.handshakes(why).add();
        if (const int descriptor = tls_->release(); descriptor >= 0) context_.lingering.add(descriptor, now);
        return leave(End::transport);
    }
    if (step.wants != TlsStream::Wants::nothing) {
        return tls_->async_wait(step.wants, [self = shared_from_this()](error_code failed) {
            if (!failed) self->go_on(telemetry::monotonic_ns());
        });
    }
    TransportMetrics& metrics = transport_.shared.metrics;
    metrics.handshakes(tls_->resumed() ? HandshakeResult::resumed : HandshakeResult::full).add();
    metrics.handshake_duration.record(std::chrono::nanoseconds(now - began_));
    hand_over(std::move(*tls_), now);
}

// ---- the end

template <class Stream>
void Reception::hand_over(Stream stream, std::uint64_t now) {
    shown_.reset();
    transport_.service.serve(std::move(stream), peer_, now);
    leave(End::handed_on);
}

void Reception::refuse_plain_text(std::uint64_t now) {
    transport_.shared.metrics.handshakes(HandshakeResult::plain_text).add();
    const std::string_view answer = transport_.service.tls_required();
    if (answer.empty()) {
        reset_on_close(socket_.native_handle());
        socket_.close();
        return leave(End::transport);
    }
    ::send(socket_.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (const int descriptor = socket_.release(); descriptor >= 0) context_.lingering.add(descriptor, now);
    leave(End::transport);
}

void Reception::close(ProxyResult result) {
    transport_.shared.metrics.proxy_headers(result).add();
    close_socket();
    leave(End::transport);
}

void Reception::close(HandshakeResult result) {
    transport_.shared.metrics.handshakes(result).add();
    const bool nothing_came = stage_ == Stage::first_byte;
    close_socket();
    leave(nothing_came ? End::served : End::transport);
}

void Reception::close_socket() {
    if (tls_)
        tls_->close();
    else
        socket_.close();
}

void Reception::leave(End why) {
    stage_ = Stage::over;
    shown_.reset();
    context_.deadlines.clear(*this);
    end = why;
    context_.closed(*this);
}

void Reception::deadline_passed(std::uint64_t) {
    if (away_) {
        too_late_ = true;
        return;
    }
    const auto self = shared_from_this();
    if (stage_ == Stage::proxy_header) return close(ProxyResult::deadline);
    close(HandshakeResult::deadline);
}

void Reception::close_if_idle(std::uint64_t now, std::chrono::nanoseconds least) {
    if (stage_ != Stage::first_byte || now - began_ < static_cast<std::uint64_t>(least.count())) return;
    const auto self = shared_from_this();
    close(HandshakeResult::disconnected);
}

void Reception::make_way(std::uint64_t) {
    const auto self = shared_from_this();
    close_socket();
    leave(End::shed);
}

}  // namespace signalbox::server
