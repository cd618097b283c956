// Any text as a request of a viewer and of an operator: every reply is JSON-RPC, a request with an id gets
// exactly one, and the arbiter is asked nothing by a viewer and nothing out of range by anybody.
// The group has a worker with a connection, and a tunable of every type.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "agent/service/rpc.hpp"
#include "agent/telemetry/connections.hpp"
#include "agent/telemetry/seat.hpp"
#include "agent/telemetry/settings.hpp"
#include "signalbox/context.hpp"
#include "tests/agent/service/fake_group.hpp"

using namespace signalbox;
using namespace signalbox::service;

namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

struct World : Commands, Stream {
    World() {
        // What the agent logs of every command would drown the fuzzer's own output, which keeps the old stream.
        stderr = std::fopen("/dev/null", "w");
        group.start_worker(0);
        group.in_worker(0, [this] { Counter(group.telemetry, "letters_total", "Letters").add(3); });
        group.log("worker_started", "Slot 0 serves.");
        connection.begin_request("POST /classify");
    }
    void ask(supervisor::Command command, Done done) override {
        require(acting && command.slot < 4 && command.workers <= 4);
        require(command.principal[sizeof command.principal - 1] == '\0');
        if (command.operation == supervisor::Operation::set) {
            const auto setting =
                telemetry::read_setting(group.segment().setting(command.setting), command.setting);
            require(setting && setting->type == command.setting_type);
            require(telemetry::refusal_of(*setting, command.value, {}).empty());
        }
        done(supervisor::Answer{});
    }
    Opening subscribe(const Subscription& subscription) override {
        require(subscription.period.count() >= 100 && subscription.period.count() <= 60'000);
        require(subscription.shape.scale >= -2 && subscription.shape.scale <= 7);
        return {};
    }
    void send(Opening) override {}
    void unsubscribe() override {}

    FakeGroup group{"fuzz"};
    telemetry::ConnectionTable connections{group.segment(), 0};
    telemetry::ConnectionSlot connection = connections.open("192.0.2.7:40122", telemetry::monotonic_ns());
    Context context{group.telemetry};
    Tunable<bool> flag{context, "flag", true};
    Tunable<std::int64_t> number{context, "number", 5, {.min = -10, .max = 10}};
    Tunable<double> ratio{context, "ratio", 0.5, {.min = 0, .max = 1}};
    Tunable<Bytes> size{context, "size", Bytes{512}};
    Tunable<std::chrono::milliseconds> delay{context, "delay", std::chrono::milliseconds(5)};
    telemetry::SegmentView view{group.segment().descriptor()};
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
