#include "console/models/action_text.hpp"

#include <QCoreApplication>

#include "console/models/units.hpp"

namespace signalbox::console {
namespace {

QString translated(const char* text) {
    return QCoreApplication::translate("ActionText", text);
}

QString place(const Agent& agent) {
    const auto& hello = agent.store().hello();
    return hello && !hello->host.isEmpty() ? translated("“%1” on %2").arg(agent.title(), hello->host)
                                           : translated("“%1”").arg(agent.title());
}

}  // namespace

ActionText cycleWorkerText(const Agent& agent, const wire::Worker& worker) {
    return {
        translated("Cycle worker %1?").arg(worker.slot),
        translated(
            "In group %1, the worker in slot %2 (pid %3, generation %4) will be replaced:\n\n"
            "1.  A replacement process starts in the same slot.\n"
            "2.  Once it is ready, it accepts connections.\n"
            "3.  Only then pid %3 stops accepting, finishes what it has (%5 open connections), and ends.\n\n"
            "If the replacement does not become ready, pid %3 keeps serving.")
            .arg(place(agent))
            .arg(worker.slot)
            .arg(worker.pid)
            .arg(worker.generation)
            .arg(worker.connections),
        translated("Cycle worker %1").arg(worker.slot)};
}

ActionText cycleAllText(const Agent& agent) {
    const auto* tick = agent.store().history().latest();
    const auto target = tick ? tick->target_workers : 0;
    return {
        translated("Cycle all workers?"),
        translated("In group %1, every worker (%2 slots, %3 ready now) will be replaced, a few at a time:\n\n"
                   "1.  A replacement starts and must be ready first.\n"
                   "2.  Then the old worker stops accepting, finishes what it has, and ends.\n\n"
                   "The group keeps its capacity throughout.")
            .arg(place(agent))
            .arg(target)
            .arg(agent.readyWorkers()),
        translated("Cycle all")};
}

ActionText scaleText(const Agent& agent, int to) {
    const auto* tick = agent.store().history().latest();
    const int from = tick ? static_cast<int>(tick->target_workers) : 0;
    QString what;
    if (to > from)
        what = translated("%n more worker(s) will start; nothing that runs now is touched.");
    else if (to < from)
        what = translated("%n worker(s) will stop accepting, finish what they have, and end.");
    else
        what = translated("The group has that many already; nothing will change.");
    what.replace(QStringLiteral("%n"), QString::number(std::abs(to - from)));
    what.replace(QStringLiteral("worker(s)"),
                 std::abs(to - from) == 1 ? translated("worker") : translated("workers"));
    return {
        translated("Scale from %1 to %2 workers?").arg(from).arg(to),
        translated("In group %1: from %2 to %3 workers.\n\n%4").arg(place(agent)).arg(from).arg(to).arg(what),
        translated("Scale to %1").arg(to)};
}

}  // namespace signalbox::console
