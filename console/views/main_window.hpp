// The window: the fleet on the left; the chosen group's figures, charts, workers and events in the middle.
//
//     MainWindow window(theme);
//     window.connectTo({.url = "unix:/run/mailroom/agent.sock"});
//     window.show();
#pragma once

#include <QActionGroup>
#include <QMainWindow>
#include <QPointer>
#include <memory>
#include <vector>

#include "console/models/fleet_model.hpp"
#include "console/views/theme.hpp"

class QSplitter;
class QStackedWidget;
class QToolButton;
class QTreeView;

namespace signalbox::console {

class Banner;
class EventsView;
class Overview;
class WelcomePage;
class WorkerActions;
class WorkersView;

class MainWindow : public QMainWindow {
    Q_OBJECT
public:
    /// What the middle shows: everything, or one part of it large.
    enum class View { overview, workers, events };

    explicit MainWindow(Theme& theme);
    ~MainWindow() override;

    /// Adds the agent to the tree and shows it, unless there is one of that URL already: then that is shown.
    Agent& connectTo(const ConnectionSettings& settings);
    /// Closes the agent's connection and forgets its data.
    void disconnectFrom(Agent& agent);
    Agent* currentAgent() const { return current_; }
    const std::vector<std::unique_ptr<Agent>>& agents() const { return agents_; }

    /// Narrows figures and charts to a worker; none: the whole group.
    void selectWorker(std::optional<std::uint32_t> slot);
    std::optional<std::uint32_t> selectedWorker() const { return slot_; }
    void showView(View view);
    /// The last `minutes` in the charts: 1, 5 or 10.
    void showSpan(int minutes);
    WorkerActions& actions() const { return *workerActions_; }
    /// Draws what the pace would draw a moment later.
    void refreshNow();

private:
    void buildActions();
    void buildMenus();
    void buildToolBar();
    void buildContent();
    void applyTheme();
    QAction* addWindowAction(const QString& name, const QString& text, const QKeySequence& keys,
                             const std::function<void()>& does);
    void present(Agent* agent, std::optional<std::uint32_t> slot);
    void treeChosen(const QModelIndex& index);
    void followSelection();
    void refreshConnection();
    void askToConnect();
    void showShortcuts();
    void showAbout();

    Theme& theme_;
    std::vector<std::unique_ptr<Agent>> agents_;
    QPointer<Agent> current_;
    std::optional<std::uint32_t> slot_;
    bool following_ = false;  ///< the tree's selection is being set by us

    FleetModel* fleet_;
    WorkerActions* workerActions_;
    QList<QAction*> listed_;  ///< in the order of the shortcuts dialog
    QAction* connect_ = nullptr;
    QAction* disconnect_ = nullptr;
    QAction* quit_ = nullptr;
    QAction* pause_ = nullptr;
    QAction* wholeGroup_ = nullptr;
    QAction* findEvents_ = nullptr;
    QAction* larger_ = nullptr;
    QAction* smaller_ = nullptr;
    QAction* shortcuts_ = nullptr;
    QActionGroup* views_;
    QActionGroup* spans_;
    QActionGroup* themes_;

    QStackedWidget* pages_;
    WelcomePage* welcome_;
    QTreeView* tree_;
    QSplitter* sides_;
    QSplitter* rows_;
    Banner* connection_;
    Banner* outcome_;
    Overview* overview_;
    WorkersView* workers_;
    EventsView* events_;
};

}  // namespace signalbox::console
