#include "agent/service/rpc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/service/describe.hpp"
#include "agent/telemetry/setting_values.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::service {
using nlohmann::json;
using supervisor::Answer;
using supervisor::Command;
using supervisor::Operation;
using supervisor::Outcome;

namespace {

enum Code {
    parse_error = -32700,
    invalid_request = -32600,
    method_not_found = -32601,
    invalid_params = -32602,
    not_authorised = -32001,
    stale_generation = -32002,
    refused = -32003,
    arbiter_silent = -32004,
};

struct Error : std::runtime_error {
    Error(Code what, const std::string& message) : std::runtime_error(message), code(what) {}
    Code code;
};

std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string error_reply(const json& id, int code, const std::string& message) {
    return dump(
        {{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", wire::to_utf8(message)}}}});
}

/// A whole number within bounds, as every number in the contract is.
std::int64_t integer(const json& params, const char* name, std::int64_t min, std::int64_t max,
                     std::optional<std::int64_t> otherwise = {}) {
    const auto found = params.find(name);
    if (found == params.end()) {
        if (otherwise) return *otherwise;
        throw Error(invalid_params, fmt::format("{} is missing", name));
    }
    const bool fits = found->is_number_integer() &&
                      !(found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) &&
                      found->get<std::int64_t>() >= min && found->get<std::int64_t>() <= max;
    if (!fits)
        throw Error(invalid_params, fmt::format("{} must be a whole number from {} to {}", name, min, max));
    return found->get<std::int64_t>();
}

Granularity granularity(const json& params) {
    const auto found = params.find("granularity");
    if (found == params.end() || *found == "worker") return Granularity::worker;
    if (*found == "group") return Granularity::group;
    throw Error(invalid_params, R"(granularity must be "worker" or "group")");
}

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
    return {field, ::strnlen(field, N)};
}

json command_result(const Command& command, const json& params, const Answer& answer) {
    const std::string message = wire::to_utf8(text_of(answer.text));
    switch (command.operation) {
        case Operation::cycle_worker:
        case Operation::keep_worker:
            return {{"slot", command.slot}, {"generation", command.generation}, {"message", message}};
        case Operation::scale:
            return {{"from", answer.from_workers}, {"to", answer.to_workers}, {"message", message}};
        case Operation::set:
            return {{"name", params.at("name")},
                    {"value", telemetry::format_value(command.setting_type, command.value)},
                    {"message", message}};
        case Operation::cycle_group:
        case Operation::upgrade:
            break;
    }
    return {{"message", message}};
}

/// A value as a person writes it; numbers and booleans may be JSON's own.
std::string value_text(const json& params) {
    const auto found = params.find("value");
    if (found == params.end()) throw Error(invalid_params, "value is missing");
    if (found->is_string()) return found->get<std::string>();
    if (found->is_number() || found->is_boolean()) return found->dump();
    throw Error(invalid_params, "value must be a string, a number, true or false");
}

telemetry::Setting find_setting(const telemetry::SegmentView& view, const json& params) {
    const auto found = params.find("name");
    if (found == params.end() || !found->is_string())
        throw Error(invalid_params, "name must be a string: that of a tunable");
    const auto& name = found->get_ref<const std::string&>();
    for (telemetry::Setting& setting : view.settings())
        if (setting.name == name) return std::move(setting);
    throw Error(invalid_params, fmt::format("there is no setting '{:.100}'", name));
}

/// The word for the value, if the tunable can have it. The arbiter looks again.
std::uint64_t word_for(const telemetry::Setting& setting, const std::string& text) {
    std::uint64_t word = 0;
    try {
        word = telemetry::parse_value(setting.type, text);
    } catch (const std::invalid_argument& error) {
        throw Error(invalid_params, fmt::format("{}: {}", setting.name, error.what()));
    }
    const std::string refusal = telemetry::refusal_of(setting, word, text);
    if (!refusal.empty()) throw Error(invalid_params, refusal);
    return word;
}

}  // namespace

struct Rpc::Call {
    Principal principal;
    Stream* stream;  ///< used before handle() returns only
    Reply reply;
    json id;  ///< discarded: a notification
    std::string method;
    json params;

    void succeed(const json& result) const {
        reply(id.is_discarded() ? std::string() : dump({{"jsonrpc", "2.0"}, {"id", id}, {"result", result}}));
    }
    void fail(int code, const std::string& message) const {
        reply(id.is_discarded() ? std::string() : error_reply(id, code, message));
    }
};

void Rpc::handle(const Principal& principal, std::string_view text, Stream* stream, Reply reply) {
    json request = json::parse(text, nullptr, false);
    if (request.is_discarded()) return reply(error_reply(nullptr, parse_error, "this is not JSON"));
    if (!request.is_object())
        return reply(
            error_reply(nullptr, invalid_request, "a request is one JSON object; batches are not taken"));
    const auto id = request.find("id");
    const bool has_id = id != request.end();
    if (has_id && !id->is_string() && !id->is_number() && !id->is_null())
        return reply(error_reply(nullptr, invalid_request, "the id must be a string or a number"));
    const json known_id = has_id ? *id : json();
    const auto version = request.find("jsonrpc");
    const auto method = request.find("method");
    if (version == request.end() || *version != "2.0" || method == request.end() || !method->is_string())
        return reply(
            error_reply(known_id, invalid_request, R"(a request has "jsonrpc": "2.0" and a method)"));
    json params = json::object();
    if (const auto given = request.find("params"); given != request.end()) params = std::move(*given);
    dispatch({principal, stream, std::move(reply), has_id ? known_id : json(json::value_t::discarded),
              method->get<std::string>(), std::move(params)});
}

void Rpc::dispatch(Call call) {
    switch (authorizer_.decide(call.principal, call.method)) {
        case Decision::unknown:
            return call.fail(method_not_found, fmt::format("there is no method '{:.100}'", call.method));
        case Decision::denied:
            fmt::print(stderr, "signalbox agent: {} may not do {}\n", call.principal.name, call.method);
            return call.fail(not_authorised,
                             fmt::format("{} may look, but not act ({})", call.principal.name, call.method));
        case Decision::allowed:
            break;
    }
    if (!call.params.is_object()) return call.fail(invalid_params, "params must be an object");
    try {
        if (call.method == "workers.list") return call.succeed(describe_workers(view_));
        if (call.method == "connections") return connections(call);
        if (call.method == "listeners.list") return call.succeed(describe_listeners(view_));
        if (call.method == "instruments.list") return call.succeed(describe_instruments(feeds_.catalogue()));
        if (call.method == "events.list") {
            const auto limit = integer(call.params, "limit", 1, 1000, 100);
            feeds_.poll_events();
            return call.succeed(describe_events(feeds_.events(), static_cast<std::size_t>(limit)));
        }
        if (call.method == "telemetry.subscribe") return subscribe(call);
        if (call.method == "telemetry.unsubscribe") {
            if (!call.stream) throw Error(method_not_found, "telemetry comes over GET /stream only");
            call.stream->unsubscribe();
            return call.succeed(json::object());
        }
        if (call.method == "settings") return call.succeed(describe_settings(view_));
        if (call.method == "set") return set(call);
        if (call.method == "worker.cycle" || call.method == "worker.keep" || call.method == "group.cycle" ||
            call.method == "group.scale" || call.method == "group.upgrade")
            return command(call);
        // The Authorizer's table also has the pages.
        call.fail(method_not_found, fmt::format("there is no method '{}'", call.method));
    } catch (const Error& error) {
        call.fail(error.code, error.what());
    }
}

void Rpc::connections(Call& call) {
    const auto generation = static_cast<std::uint64_t>(integer(call.params, "generation", 1, INT64_MAX));
    const auto result = describe_connections(view_, generation);
    if (!result)
        throw Error(stale_generation, fmt::format("no worker is generation {}: it has ended", generation));
    call.succeed(*result);
}

void Rpc::subscribe(Call& call) {
    if (!call.stream) throw Error(method_not_found, "telemetry comes over GET /stream only");
    Subscription subscription;
    subscription.shape = {
        granularity(call.params),
        static_cast<int>(integer(call.params, "scale", sketch::kCoarsestScale, sketch::kFinestScale, 5))};
    subscription.period = std::chrono::milliseconds(integer(call.params, "period_ms", 100, 60'000, 1000));
    subscription.history = std::chrono::milliseconds(integer(call.params, "history_ms", 0, 300'000, 0));
    if (const auto since = call.params.find("since_ns"); since != call.params.end() && !since->is_null())
        subscription.since =
            wire::WallTime(wire::nanoseconds(integer(call.params, "since_ns", 0, INT64_MAX)));
    Opening opening;
    try {
        opening = call.stream->subscribe(subscription);
    } catch (const std::length_error& error) {
        throw Error(refused, error.what());
    }
    const bool group = subscription.shape.granularity == Granularity::group;
    call.succeed({{"period_ms", subscription.period.count()},
                  {"scale", subscription.shape.scale},
                  {"granularity", group ? "group" : "worker"},
                  {"tick", opening.tick}});
    call.stream->send(std::move(opening));
}

void Rpc::command(Call& call) {
    Command command;
    if (call.method == "worker.cycle" || call.method == "worker.keep") {
        command.operation = call.method == "worker.cycle" ? Operation::cycle_worker : Operation::keep_worker;
        command.slot =
            static_cast<std::uint32_t>(integer(call.params, "slot", 0, view_.geometry().slot_count - 1));
        command.generation = static_cast<std::uint64_t>(integer(call.params, "generation", 1, INT64_MAX));
    } else if (call.method == "group.cycle") {
        command.operation = Operation::cycle_group;
    } else if (call.method == "group.upgrade") {
        command.operation = Operation::upgrade;
    } else {
        command.operation = Operation::scale;
        command.workers =
            static_cast<std::uint32_t>(integer(call.params, "workers", 1, view_.geometry().slot_count));
    }
    fmt::print(stderr, "signalbox agent: {} asks for {} (slot {}, generation {}, workers {})\n",
               call.principal.name, call.method, command.slot, command.generation, command.workers);
    ask_arbiter(call, command);
}

void Rpc::set(Call& call) {
    const telemetry::Setting setting = find_setting(view_, call.params);
    if (setting.kind != telemetry::SettingKind::tunable)
        throw Error(refused, fmt::format("{} cannot be changed while the group runs", setting.name));
    if (authorizer_.decide_change(call.principal, setting.role) != Decision::allowed)
        throw Error(not_authorised,
                    fmt::format("{} may look, but not act (set {})", call.principal.name, setting.name));
    const std::string text = value_text(call.params);
    Command command;
    command.operation = Operation::set;
    command.setting = setting.index;
    command.setting_type = setting.type;
    command.value = word_for(setting, text);
    fmt::print(stderr, "signalbox agent: {} asks for set ({} = {})\n", call.principal.name, setting.name,
               telemetry::format_value(setting.type, command.value));
    ask_arbiter(call, command);
}

void Rpc::ask_arbiter(Call& call, Command command) {
    const std::string who = wire::to_utf8(call.principal.name, sizeof command.principal - 1);
    std::memcpy(command.principal, who.data(), who.size());
    command.role = call.principal.role;
    commands_.ask(command, [call = std::move(call), command](std::optional<Answer> answer) {
        if (!answer) return call.fail(arbiter_silent, "the arbiter does not answer");
        switch (answer->outcome) {
            case Outcome::accepted:
                return call.succeed(command_result(command, call.params, *answer));
            case Outcome::stale:
                return call.fail(stale_generation, text_of(answer->text));
            case Outcome::refused:
                break;
        }
        call.fail(refused, text_of(answer->text));
    });
}

}  // namespace signalbox::service
