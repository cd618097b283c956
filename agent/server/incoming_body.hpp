// The connection's side of a RequestBody: holds the handler up until a piece has come in.
#pragma once

#include <string>

#include "agent/server/gate.hpp"
#include "signalbox/http.hpp"

namespace signalbox::server {

/// The connection above a body.
class BodySource {
public:
    enum class Taken {
        piece,
        end,
        wait,     ///< IncomingBody::arrived() follows
        refused,  ///< too late, too long or malformed; take() says so again
        gone,
    };
    /// Replaces `piece`.
    virtual Taken take(std::string& piece) = 0;

protected:
    ~BodySource() = default;
};

class IncomingBody final : public RequestBody {
public:
    IncomingBody(const boost::asio::any_io_executor& executor, BodySource& source,
                 std::optional<std::uint64_t> length)
        : source_(&source), length_(length), gate_(executor) {}

    awaitable<std::string_view> read() override;
    std::optional<std::uint64_t> length() const override { return length_; }

    /// For the connection: take() has something to say.
    void arrived() { gate_.open(); }

private:
    BodySource* const source_;
    const std::optional<std::uint64_t> length_;
    std::string piece_;
    Gate gate_;
};

}  // namespace signalbox::server
