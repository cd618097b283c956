#include "console/models/agent.hpp"

#include <algorithm>

#include "console/models/text.hpp"

namespace signalbox::console {

Agent::Agent(const ConnectionSettings& settings, QObject* parent)
    : QObject(parent), session_(settings), workers_(store_), events_(store_) {
    store_.follow(session_);
}

QString Agent::title() const {
    const auto& hello = store_.hello();
    return hello && !hello->group.isEmpty() ? shown(hello->group, 80) : shown(url(), 120);
}

QString Agent::whyNoActions() const {
    if (!store_.connected()) return tr("Not connected to the agent.");
    if (!store_.hello() || !store_.hello()->mayAct)
        return tr("The agent does not let you act: your role may only look.");
    if (!store_.history().latest()) return tr("No data from the agent yet.");
    return {};
}

int Agent::readyWorkers() const {
    const auto* tick = store_.history().latest();
    if (!tick) return 0;
    return static_cast<int>(std::count_if(tick->workers.begin(), tick->workers.end(), [](const auto& worker) {
        return worker.state == wire::WorkerState::ready;
    }));
}

}  // namespace signalbox::console
