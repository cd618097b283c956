// Cycling, with what happens until the replacements serve.
#include <fmt/format.h>

#include <set>

#include "console/ctl/commands.hpp"
#include "console/ctl/events.hpp"
#include "console/ctl/json_fields.hpp"

namespace signalbox::ctl {
namespace {

using nlohmann::json;
using Generations = std::set<std::uint64_t>;

constexpr std::chrono::milliseconds kBetweenLooks{250};

bool has_state(const json& worker, std::initializer_list<const char*> states) {
    return std::any_of(states.begin(), states.end(),
                       [&](const char* state) { return field(worker, "state") == state; });
}

std::uint64_t generation_of(const json& worker) {
    const json& generation = field(worker, "generation");
    return generation.is_number_unsigned() ? generation.get<std::uint64_t>() : 0;
}

/// Those that are to go: of one slot, or of all. A slot may hold a worker that drains beside its replacement.
Generations serving(const json& workers, std::optional<std::uint32_t> slot) {
    Generations generations;
    for (const json& worker : field(workers, "workers")) {
        if ((!slot || field(worker, "slot") == *slot) && has_state(worker, {"starting", "ready", "stalled"}))
            generations.insert(generation_of(worker));
    }
    return generations;
}

/// None of `old` serves any more, and as many workers that were not there before are ready. Wherever they
/// are: a replacement need not take the slot of the worker that it replaces.
bool replaced(const json& workers, const Generations& old, const Generations& before) {
    std::size_t fresh = 0;
    for (const json& worker : field(workers, "workers")) {
        const std::uint64_t generation = generation_of(worker);
        if (old.contains(generation) && has_state(worker, {"starting", "ready", "stalled"})) return false;
        if (!before.contains(generation) && has_state(worker, {"ready"})) ++fresh;
    }
    return fresh >= old.size();
}

json request(Connection& agent, std::optional<std::uint32_t> slot, const Generations& old) {
    if (!slot) return agent.call("group.cycle");
    if (old.empty())
        throw Failure(
            fmt::format("slot {} has no worker that could be cycled; 'workers' shows the slots", *slot));
    // The newest: an older one beside it is being replaced already.
    return agent.call("worker.cycle", {{"slot", *slot}, {"generation", *old.rbegin()}});
}

}  // namespace

void cycle(Connection& agent, std::optional<std::uint32_t> slot, std::optional<std::chrono::seconds> patience,
           bool as_json) {
    const json workers = agent.call("workers.list");
    const Generations before = serving(workers, std::nullopt);
    Generations old = serving(workers, slot);
    if (slot && !old.empty()) old = {*old.rbegin()};

    const auto print_event = [as_json](const wire::Event& event) {
        const json fields = to_json(event);
        fmt::print("{}\n", as_json ? fields.dump() : event_line(fields));
        std::fflush(stdout);
    };
    if (patience) agent.follow_events(print_event, false);

    const json accepted = request(agent, slot, old);
    if (as_json) {
        fmt::print("{}\n", accepted.dump());
    } else {
        fmt::print("{}\n", text_field(accepted, "message"));
    }
    std::fflush(stdout);
    if (!patience) return;

    const auto limit = std::chrono::steady_clock::now() + *patience * std::max<std::size_t>(old.size(), 1);
    while (!replaced(agent.call("workers.list"), old, before)) {
        if (std::chrono::steady_clock::now() > limit)
            throw Failure(
                "the replacement is not ready yet, but this command waits no longer; 'workers' shows how it "
                "goes on");
        agent.run_for(kBetweenLooks);
    }
    // The event that says so may be in the next frame.
    agent.run_for(kBetweenLooks * 2);
    if (!as_json)
        fmt::print("{} replaced\n", old.size() == 1 ? "1 worker" : fmt::format("{} workers", old.size()));
}

void keep(Connection& agent, std::uint32_t slot, bool as_json) {
    std::uint64_t generation = 0;
    // The oldest in the slot: a younger one beside it is its successor.
    const json workers = agent.call("workers.list");
    for (const json& worker : field(workers, "workers"))
        if (field(worker, "slot") == slot && (generation == 0 || generation_of(worker) < generation))
            generation = generation_of(worker);
    if (generation == 0)
        throw Failure(
            fmt::format("slot {} has no worker that could be kept; 'workers' shows the slots", slot));
    const json kept = agent.call("worker.keep", {{"slot", slot}, {"generation", generation}});
    fmt::print("{}\n", as_json ? kept.dump() : text_field(kept, "message"));
}

}  // namespace signalbox::ctl
