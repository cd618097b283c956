#include "console/app/unattended_run.hpp"

#include <QApplication>
#include <QTextStream>
#include <algorithm>

#include "console/models/text.hpp"
#include "console/views/confirm_dialog.hpp"
#include "console/views/worker_actions.hpp"

namespace signalbox::console {
namespace {

using namespace std::chrono_literals;

constexpr auto kConnectLimit = 15s;
constexpr auto kActionLimit = 20s;
/// From the agent's answer until its first events are on the screen.
constexpr auto kAfterAction = 2500ms;

}  // namespace

UnattendedRun::UnattendedRun(const CommandLine& line, MainWindow& window)
    : QObject(&window), line_(line), window_(window) {
    givingUp_.setSingleShot(true);
    connect(&polling_, &QTimer::timeout, this, &UnattendedRun::whenDataArrive);
    connect(&givingUp_, &QTimer::timeout, this, [this] {
        for (const auto& agent : window_.agents())
            if (!agent->store().history().latest())
                return fail(
                    tr("No data from %1: %2").arg(shown(agent->url()), shown(agent->store().stateDetail())));
    });
    polling_.start(20ms);
    givingUp_.start(kConnectLimit);
}

bool UnattendedRun::everyAgentHasData() const {
    return std::all_of(window_.agents().begin(), window_.agents().end(),
                       [](const auto& agent) { return agent->store().history().latest() != nullptr; });
}

void UnattendedRun::whenDataArrive() {
    if (!everyAgentHasData()) return;
    polling_.stop();
    givingUp_.stop();
    if (line_.check) return report();
    QTimer::singleShot(window_.agents().empty() ? 0ms : line_.after, this, &UnattendedRun::select);
}

void UnattendedRun::select() {
    for (const auto slot : {line_.select, line_.cycle}) {
        if (!slot) continue;
        if (!window_.currentAgent() || !window_.currentAgent()->store().worker(*slot))
            return fail(tr("There is no worker in slot %1.").arg(*slot));
        window_.selectWorker(slot);
    }
    if (line_.cycle)
        cycle();
    else
        QTimer::singleShot(0, this, &UnattendedRun::capture);
}

void UnattendedRun::cycle() {
    auto* action = window_.actions().cycleWorker();
    if (!action->isEnabled())
        return fail(tr("Worker %1 cannot be cycled: %2")
                        .arg(*line_.cycle)
                        .arg(window_.currentAgent()->whyNoActions()));
    connect(&window_.actions(), &WorkerActions::finished, this, [this](bool ok, const QString& text) {
        if (!ok) return fail(text);
        // The picture is of the whole group, with the cycle's events below.
        window_.selectWorker(std::nullopt);
        QTimer::singleShot(kAfterAction, this, &UnattendedRun::capture);
    });
    connect(&givingUp_, &QTimer::timeout, this, [this] { fail(tr("The agent did not answer.")); });
    givingUp_.start(kActionLimit);
    action->trigger();
    auto* dialog = window_.findChild<ConfirmDialog*>(QStringLiteral("confirmDialog"));
    if (!dialog) return fail(tr("The confirmation did not appear."));
    dialog->accept();
}

void UnattendedRun::capture() {
    givingUp_.stop();
    window_.refreshNow();
    const bool saved = window_.grab().save(line_.screenshot, "PNG");
    if (!saved) return fail(tr("Cannot write %1.").arg(line_.screenshot));
    QCoreApplication::exit(0);
}

void UnattendedRun::report() {
    QTextStream out(stdout);
    for (const auto& agent : window_.agents()) {
        const auto& hello = agent->store().hello();
        out << tr("%1: %2 on %3, %4 of %5 workers ready")
                   .arg(shown(agent->url()), agent->title(), hello ? shown(hello->host, 80) : QString())
                   .arg(agent->readyWorkers())
                   .arg(agent->store().history().latest()->target_workers)
            << '\n';
    }
    QCoreApplication::exit(0);
}

void UnattendedRun::fail(const QString& why) {
    polling_.stop();
    givingUp_.stop();
    QTextStream(stderr) << "signalbox: " << why << '\n';
    QCoreApplication::exit(1);
}

}  // namespace signalbox::console
