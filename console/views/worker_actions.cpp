#include "console/views/worker_actions.hpp"

#include "console/models/action_text.hpp"
#include "console/models/text.hpp"
#include "console/views/confirm_dialog.hpp"
#include "console/views/icons.hpp"

namespace signalbox::console {
namespace {

constexpr int kMostWorkers = 1024;

}  // namespace

WorkerActions::WorkerActions(const Theme& theme, QWidget* window)
    : QObject(window),
      theme_(theme),
      window_(window),
      cycleWorker_(new QAction(tr("C&ycle worker…"), this)),
      cycleAll_(new QAction(tr("Cycle &all…"), this)),
      scale_(new QAction(tr("&Scale…"), this)) {
    cycleWorker_->setObjectName(QStringLiteral("cycleWorkerAction"));
    cycleWorker_->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_K));
    cycleAll_->setObjectName(QStringLiteral("cycleAllAction"));
    cycleAll_->setShortcut(QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_K));
    scale_->setObjectName(QStringLiteral("scaleAction"));
    scale_->setShortcut(QKeySequence(Qt::CTRL | Qt::Key_L));
    connect(cycleWorker_, &QAction::triggered, this, &WorkerActions::askCycleWorker);
    connect(cycleAll_, &QAction::triggered, this, &WorkerActions::askCycleAll);
    connect(scale_, &QAction::triggered, this, &WorkerActions::askScale);
    connect(&theme, &Theme::changed, this, &WorkerActions::applyTheme);
    applyTheme();
    refresh();
}

void WorkerActions::applyTheme() {
    cycleWorker_->setIcon(lineIcon(QStringLiteral("cycle"), theme_));
    cycleAll_->setIcon(lineIcon(QStringLiteral("cycle-all"), theme_));
    scale_->setIcon(lineIcon(QStringLiteral("scale"), theme_));
}

void WorkerActions::setTarget(Agent* agent, std::optional<std::uint32_t> slot) {
    if (agent_ != agent) {
        if (agent_) agent_->store().disconnect(this);
        if (agent) {
            connect(&agent->store(), &AgentStore::stateChanged, this, &WorkerActions::refresh);
            connect(&agent->store(), &AgentStore::ticked, this, &WorkerActions::refresh);
        }
    }
    agent_ = agent;
    slot_ = slot;
    refresh();
}

void WorkerActions::refresh() {
    const QString why = agent_ ? agent_->whyNoActions() : tr("Connect to an agent first.");
    const auto set = [](QAction* action, const QString& hindrance, const QString& does) {
        action->setEnabled(hindrance.isEmpty());
        const QString keys = action->shortcut().toString(QKeySequence::NativeText);
        action->setToolTip(
            plainToolTip(hindrance.isEmpty() ? QStringLiteral("%1 (%2)").arg(does, keys) : hindrance));
    };
    QString whyNotWorker = why;
    if (why.isEmpty() && !slot_)
        whyNotWorker = tr("Choose a worker in the tree or the table first.");
    else if (why.isEmpty() && (!agent_->store().worker(*slot_) ||
                               agent_->store().worker(*slot_)->state == wire::WorkerState::dead))
        whyNotWorker = tr("There is no live worker in slot %1.").arg(*slot_);
    set(cycleWorker_, whyNotWorker, tr("Replace this worker by a fresh process, without dropping a request"));
    set(cycleAll_, why, tr("Replace every worker, a few at a time"));
    set(scale_, why, tr("Change the number of workers"));
}

void WorkerActions::askCycleWorker() {
    const auto* worker = agent_ && slot_ ? agent_->store().worker(*slot_) : nullptr;
    if (!worker) return;
    auto* dialog = new ConfirmDialog(cycleWorkerText(*agent_, *worker), window_);
    const QString what = tr("Cycle worker %1 (pid %2)").arg(worker->slot).arg(worker->pid);
    const QJsonObject params{{QStringLiteral("slot"), static_cast<qint64>(worker->slot)},
                             {QStringLiteral("generation"), static_cast<qint64>(worker->generation)}};
    connect(dialog, &QDialog::accepted, this, [this, agent = agent_, what, params, slot = worker->slot] {
        if (agent) perform(*agent, what, QStringLiteral("worker.cycle"), params, slot);
    });
    dialog->open();
}

void WorkerActions::askCycleAll() {
    if (!agent_) return;
    auto* dialog = new ConfirmDialog(cycleAllText(*agent_), window_);
    connect(dialog, &QDialog::accepted, this, [this, agent = agent_] {
        if (agent) perform(*agent, tr("Cycle all workers"), QStringLiteral("group.cycle"), {}, std::nullopt);
    });
    dialog->open();
}

void WorkerActions::askScale() {
    const auto* tick = agent_ ? agent_->store().history().latest() : nullptr;
    if (!tick) return;
    auto* dialog = new ConfirmDialog(
        static_cast<int>(tick->target_workers), 1, kMostWorkers, tr("&Workers:"),
        [agent = agent_](int to) { return agent ? scaleText(*agent, to) : ActionText{}; }, window_);
    connect(dialog, &QDialog::accepted, this, [this, agent = agent_, dialog] {
        if (!agent) return;
        const int to = dialog->number();
        perform(*agent, tr("Scale to %1 workers").arg(to), QStringLiteral("group.scale"),
                {{QStringLiteral("workers"), to}}, std::nullopt);
    });
    dialog->open();
}

void WorkerActions::perform(Agent& agent, const QString& what, const QString& method,
                            const QJsonObject& params, std::optional<std::uint32_t> slot) {
    agent.session().call(
        method, params, &agent, [this, self = QPointer(this), &agent, what, slot](const CallReply& reply) {
            if (!self) return;
            QString outcome;
            if (!reply.ok)
                outcome = tr("%1: refused. %2").arg(what, shown(reply.error));
            else if (const QString said = shown(reply.result.value(QStringLiteral("message")).toString());
                     !said.isEmpty())
                outcome = tr("%1: accepted. %2").arg(what, said);
            else
                outcome = tr("%1: accepted.").arg(what);
            agent.store().note(reply.ok ? wire::Severity::info : wire::Severity::error,
                               reply.ok ? QStringLiteral("action_accepted") : QStringLiteral("action_failed"),
                               outcome, slot);
            Q_EMIT finished(reply.ok, outcome);
        });
}

}  // namespace signalbox::console
