// JSON-RPC 2.0: one request in, at most one reply out. Every method passes the Authorizer first.
//
//     rpc.handle(principal, text, &session, [](std::string reply) { send(reply); });
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "agent/service/arbiter_link.hpp"
#include "agent/service/authorizer.hpp"
#include "agent/service/feeds.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox::service {

/// What telemetry.subscribe and telemetry.unsubscribe act upon; a plain HTTP request has none.
class Stream {
public:
    virtual ~Stream() = default;
    /// The frames follow the reply.
    virtual Opening subscribe(const Subscription& subscription) = 0;
    virtual void send(Opening opening) = 0;
    virtual void unsubscribe() = 0;
};

class Rpc {
public:
    /// Called once with the reply, now or later; with nothing for a notification.
    using Reply = std::function<void(std::string)>;

    /// All must outlive it.
    Rpc(const telemetry::SegmentView& view, Feeds& feeds, const Authorizer& authorizer, Commands& commands)
        : view_(view), feeds_(feeds), authorizer_(authorizer), commands_(commands) {}

    /// `text` may be anything. `stream` may be null.
    void handle(const Principal& principal, std::string_view text, Stream* stream, Reply reply);

private:
    struct Call;
    void dispatch(Call call);
    void connections(Call& call);
    void subscribe(Call& call);
    void command(Call& call);
    void set(Call& call);
    void ask_arbiter(Call& call, supervisor::Command command);

    const telemetry::SegmentView& view_;
    Feeds& feeds_;
    const Authorizer& authorizer_;
    Commands& commands_;
};

}  // namespace signalbox::service
