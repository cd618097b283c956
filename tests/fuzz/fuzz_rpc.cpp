// Any text as a request of a viewer and of an operator: every reply is JSON-RPC, a request with an id gets
// exactly one, and the arbiter is asked nothing by a viewer and nothing out of range by anybody.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/service/rpc.hpp"
#include "agent/telemetry/segment.hpp"

using namespace signalbox;
using namespace signalbox::service;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct World : Commands, Stream {
    World() : telemetry({.group = "fuzz", .max_workers = 4}) {
        // What the agent logs of every command would drown the fuzzer's own output.
        if (!std::freopen("/dev/null", "w", stderr)) std::abort();
    }
    void ask(supervisor::Command command, Done done) override {
        require(acting && command.slot < 4 && command.workers <= 4);
        require(command.principal[sizeof command.principal - 1] == '\0');
        done(supervisor::Answer{});
    }
    Opening subscribe(const Subscription& subscription) override {
        require(subscription.period.count() >= 100 && subscription.period.count() <= 60'000);
        require(subscription.shape.scale >= -2 && subscription.shape.scale <= 7);
        return {};
    }
    void send(Opening) override {}
    void unsubscribe() override {}

    Telemetry telemetry;
    telemetry::SegmentView view{telemetry.segment().descriptor()};
    Feeds feeds{view, Clock::now()};
    Authorizer authorizer{{"alice"}};
    Rpc rpc{view, feeds, authorizer, *this};
    bool acting = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static World world;
    for (const char* name : {"alice", "bob"}) {
        const Principal principal = world.authorizer.tls_peer(name);
        world.acting = principal.may_act();
        int replies = 0;
        world.rpc.handle(principal, {reinterpret_cast<const char*>(data), size},
                         world.acting ? &world : nullptr, [&replies](const std::string& reply) {
                             ++replies;
                             require(reply.empty() || nlohmann::json::parse(reply)["jsonrpc"] == "2.0");
                         });
        require(replies == 1);
    }
    return 0;
}
