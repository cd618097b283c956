// The connection's side of a ResponseStream: cuts what a producer writes into pieces, frames them, and holds the
// producer up until the socket has taken them.
#pragma once

#include <boost/system/error_code.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/server/encoder.hpp"
#include "agent/server/gate.hpp"
#include "agent/server/turns.hpp"
#include "signalbox/http.hpp"

namespace signalbox::server {

/// The connection under a stream.
class StreamSink {
public:
    /// What is appended here is sent by the next flush(). Empty whenever the stream is let through.
    virtual std::string& output() = 0;
    /// True when everything is sent; otherwise OutgoingStream::sent() or ended() follows, the latter perhaps
    /// before this returns.
    virtual bool flush() = 0;
    virtual bool draining() const = 0;

protected:
    ~StreamSink() = default;
};

class OutgoingStream final : public ResponseStream {
public:
    enum class Framing { chunked, bare };

    /// `sink` is there until ended() or finish(). `encoder` may be empty.
    OutgoingStream(const boost::asio::any_io_executor& executor, StreamSink& sink, Framing framing,
                   std::unique_ptr<Encoder> encoder);
    ~OutgoingStream();

    awaitable<void> write(std::string_view bytes) override;
    awaitable<void> pause(std::chrono::milliseconds time) override;
    bool stopping() const override;

    /// For the connection: all that was flushed is sent.
    void sent();
    /// The worker drains.
    void stop() { gate_.open(); }
    /// The connection has ended.
    void ended();
    /// Appends what is still to be sent after the last write().
    void finish();

private:
    void put(std::string_view piece);

    StreamSink* sink_;  ///< null when the connection has ended
    const Framing framing_;
    const std::unique_ptr<Encoder> encoder_;
    std::string encoded_;
    Gate gate_;
    bool sending_ = false;
    Turns turns_;
};

}  // namespace signalbox::server
