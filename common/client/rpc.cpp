#include "common/client/rpc.hpp"

#include "common/client/transport.hpp"

namespace signalbox::client {

using nlohmann::json;

std::string request_text(std::uint64_t id, const std::string& method, json params) {
    if (params.is_null()) params = json::object();
    const json request = {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", std::move(params)}};
    return request.dump(-1, ' ', false, json::error_handler_t::replace);
}

json subscribe_params(const Subscription& subscription, std::optional<wire::WallTime> since) {
    const bool by_worker = subscription.granularity == Subscription::Granularity::worker;
    json params = {{"granularity", by_worker ? "worker" : "group"},
                   {"period_ms", subscription.period.count()},
                   {"scale", subscription.scale},
                   {"history_ms", std::chrono::milliseconds(subscription.history).count()}};
    if (since) params["since_ns"] = since->time_since_epoch().count();
    return params;
}

json parse_text(std::string_view text) {
    json message = json::parse(text, nullptr, false);
    if (!message.is_object()) throw ConnectionProblem("the agent sent a text that is not JSON-RPC");
    return message;
}

Hello parse_hello(const json& params) try {
    Hello hello;
    params.at("protocol").get_to(hello.protocol);
    if (hello.protocol != wire::kProtocolVersion)
        throw ConnectionProblem("the agent speaks version " + std::to_string(hello.protocol) +
                                " of the protocol, and this program version " +
                                std::to_string(wire::kProtocolVersion));
    params.at("group").get_to(hello.group);
    params.at("host").get_to(hello.host);
    params.at("version").get_to(hello.version);
    params.at("boot_id").get_to(hello.boot_id);
    params.at("arbiter_pid").get_to(hello.arbiter_pid);
    params.at("agent_pid").get_to(hello.agent_pid);
    params.at("may_act").get_to(hello.may_act);
    return hello;
} catch (const json::exception& problem) {
    throw ConnectionProblem(std::string("the agent's hello is malformed: ") + problem.what());
}

Reply parse_reply(const json& response) {
    if (const auto result = response.find("result"); result != response.end()) return {.result = *result};
    Reply reply{.error_code = kTransportError,
                .error = "the agent's answer has neither a result nor an error"};
    const auto error = response.find("error");
    if (error == response.end() || !error->is_object()) return reply;
    if (const auto code = error->find("code"); code != error->end() && code->is_number_integer())
        reply.error_code = code->get<int>();
    if (const auto text = error->find("message"); text != error->end() && text->is_string())
        reply.error = text->get<std::string>();
    return reply;
}

}  // namespace signalbox::client
