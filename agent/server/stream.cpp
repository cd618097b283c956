#include "signalbox/stream.hpp"

#include "agent/server/stream_core.hpp"

namespace signalbox {

Connection::Connection(std::shared_ptr<detail::StreamCore> core) noexcept : core_(std::move(core)) {}

Connection::Connection(Connection&&) noexcept = default;

Connection& Connection::operator=(Connection&& other) noexcept {
    if (core_ && core_ != other.core_) core_->drop();
    core_ = std::move(other.core_);
    return *this;
}

Connection::~Connection() {
    if (core_) core_->drop();
}

awaitable<bool> Connection::more() {
    return core_->more();
}

awaitable<std::string_view> Connection::read_some() {
    return core_->read_some();
}

awaitable<std::string_view> Connection::read_until(std::string_view delimiter, std::size_t most) {
    return core_->read_until(delimiter, most);
}

awaitable<std::string_view> Connection::read_exactly(std::size_t bytes) {
    return core_->read_exactly(bytes);
}

awaitable<void> Connection::write(std::string_view bytes) {
    return core_->write(bytes);
}

bool Connection::draining() const {
    return core_->draining();
}

awaitable<void> Connection::until_draining() {
    return core_->until_draining();
}

const std::string& Connection::peer() const {
    return core_->peer();
}

const TlsFacts* Connection::tls() const {
    return core_->tls();
}

void Connection::begin_request(std::string_view what) {
    core_->begin_request(what);
}

void Connection::shutdown() {
    core_->shutdown();
}

void Connection::close() {
    core_->close();
}

void Connection::reset() {
    core_->reset();
}

}  // namespace signalbox
