#include "agent/server/outgoing_stream.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <charconv>

namespace signalbox::server {

namespace {

constexpr std::size_t kPiece = 64 * 1024;
/// A client that reads as fast as a producer writes must not have the event loop to itself.
constexpr std::size_t kPerTurn = 256 * 1024;

void append_chunk(std::string& out, std::string_view data) {
    if (data.empty()) return;  // it would be the last
    char size[16];
    out.append(size, std::to_chars(size, size + sizeof size, data.size(), 16).ptr);
    out += "\r\n";
    out += data;
    out += "\r\n";
}

}  // namespace

OutgoingStream::OutgoingStream(const boost::asio::any_io_executor& executor, StreamSink& sink,
                               Framing framing, std::unique_ptr<Encoder> encoder)
    : sink_(&sink),
      framing_(framing),
      encoder_(std::move(encoder)),
      gate_(executor),
      turns_(executor, encoder_ ? kPiece : kPerTurn) {}

OutgoingStream::~OutgoingStream() = default;

awaitable<void> OutgoingStream::write(std::string_view bytes) {
    do {
        if (!sink_) throw boost::system::system_error(boost::asio::error::broken_pipe, "the client has gone");
        const std::string_view piece = bytes.substr(0, kPiece);
        bytes.remove_prefix(piece.size());
        put(piece);
        while (sending_ && sink_)
            co_await gate_.wait();
        if (turns_.over_after(piece.size())) co_await turns_.pass();
    } while (!bytes.empty());
}

void OutgoingStream::put(std::string_view piece) {
    if (piece.empty()) return;
    std::string& out = sink_->output();
    if (encoder_) {
        encoded_.clear();
        encoder_->write(piece, encoded_);
        piece = encoded_;
    }
    if (framing_ == Framing::chunked)
        append_chunk(out, piece);
    else
        out += piece;
    sending_ = true;
    if (sink_->flush()) sending_ = false;
}

awaitable<void> OutgoingStream::pause(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    while (!stopping() && std::chrono::steady_clock::now() < until)
        co_await gate_.wait_until(until);
}

bool OutgoingStream::stopping() const {
    return !sink_ || sink_->draining();
}

void OutgoingStream::sent() {
    sending_ = false;
    gate_.open();
}

void OutgoingStream::ended() {
    sink_ = nullptr;
    gate_.open();
}

void OutgoingStream::finish() {
    std::string& out = sink_->output();
    if (encoder_) {
        encoded_.clear();
        encoder_->finish({}, encoded_);
        if (framing_ == Framing::chunked)
            append_chunk(out, encoded_);
        else
            out += encoded_;
    }
    if (framing_ == Framing::chunked) out += "0\r\n\r\n";
}

}  // namespace signalbox::server
