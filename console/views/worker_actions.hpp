// What an operator can do to a group: cycle a worker, cycle all, scale. Owns the actions; every way to
// trigger them (menu, toolbar, context menu, shortcut, --cycle) ends here.
//
// An action asks first (ConfirmDialog), then sends the command with the generation that the dialog named,
// then reports through finished() and as an event of the console's own.
#pragma once

#include <QAction>
#include <QObject>
#include <QPointer>

#include "console/models/agent.hpp"
#include "console/views/theme.hpp"

namespace signalbox::console {

class WorkerActions : public QObject {
    Q_OBJECT
public:
    /// Dialogs belong to `window`.
    WorkerActions(const Theme& theme, QWidget* window);

    QAction* cycleWorker() const { return cycleWorker_; }
    QAction* cycleAll() const { return cycleAll_; }
    QAction* scale() const { return scale_; }

    /// What the actions act on from now on; they are disabled, with the reason in the tool tip, when they
    /// cannot.
    void setTarget(Agent* agent, std::optional<std::uint32_t> slot);

Q_SIGNALS:
    /// The agent accepted, or why it (or the connection) did not; for people.
    void finished(bool ok, const QString& text);

private:
    void refresh();
    void applyTheme();
    void askCycleWorker();
    void askCycleAll();
    void askScale();
    void perform(Agent& agent, const QString& what, const QString& method, const QJsonObject& params,
                 std::optional<std::uint32_t> slot);

    const Theme& theme_;
    QWidget* window_;
    QAction* cycleWorker_;
    QAction* cycleAll_;
    QAction* scale_;
    QPointer<Agent> agent_;
    std::optional<std::uint32_t> slot_;
};

}  // namespace signalbox::console
