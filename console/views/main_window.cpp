#include "console/views/main_window.hpp"

#include <QCloseEvent>
#include <QLabel>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QSplitter>
#include <QStackedWidget>
#include <QStyle>
#include <QTableView>
#include <QToolBar>
#include <QToolButton>
#include <QTreeView>
#include <QVBoxLayout>

#include "console/models/text.hpp"
#include "console/views/banner.hpp"
#include "console/views/connect_dialog.hpp"
#include "console/views/events_view.hpp"
#include "console/views/icons.hpp"
#include "console/views/overview.hpp"
#include "console/views/recent_connections.hpp"
#include "console/views/shortcuts_dialog.hpp"
#include "console/views/state_light.hpp"
#include "console/views/welcome_page.hpp"
#include "console/views/worker_actions.hpp"
#include "console/views/workers_view.hpp"

namespace signalbox::console {
namespace {

constexpr int kMargin = 10;

QAction* choice(QActionGroup& group, const QString& name, const QString& text, const QVariant& data) {
    auto* action = group.addAction(text);
    action->setObjectName(name);
    action->setCheckable(true);
    action->setData(data);
    return action;
}

}  // namespace

MainWindow::MainWindow(Theme& theme)
    : theme_(theme),
      fleet_(new FleetModel(this)),
      workerActions_(new WorkerActions(theme, this)),
      views_(new QActionGroup(this)),
      spans_(new QActionGroup(this)),
      themes_(new QActionGroup(this)) {
    setObjectName(QStringLiteral("mainWindow"));
    setWindowTitle(QStringLiteral("Signalbox"));
    setWindowIcon(applicationIcon());
    setContextMenuPolicy(Qt::NoContextMenu);
    buildActions();
    buildMenus();
    buildToolBar();
    buildContent();
    connect(&theme, &Theme::changed, this, &MainWindow::applyTheme);
    applyTheme();
    resize(1280, 800);
    present(nullptr, std::nullopt);
}

MainWindow::~MainWindow() {
    // Views look at agents: they let go before the agents end.
    present(nullptr, std::nullopt);
    for (auto& agent : agents_)
        fleet_->remove(*agent);
}

QAction* MainWindow::addWindowAction(const QString& name, const QString& text, const QKeySequence& keys,
                                     const std::function<void()>& does) {
    auto* action = new QAction(text, this);
    action->setObjectName(name);
    action->setShortcut(keys);
    connect(action, &QAction::triggered, this, does);
    listed_.append(action);
    return action;
}

void MainWindow::buildActions() {
    connect_ = addWindowAction(QStringLiteral("connectAction"), tr("&Connect…"),
                               QKeySequence(Qt::CTRL | Qt::Key_N), [this] { askToConnect(); });
    disconnect_ = addWindowAction(QStringLiteral("disconnectAction"), tr("&Disconnect"),
                                  QKeySequence(Qt::CTRL | Qt::Key_D), [this] {
                                      if (current_) disconnectFrom(*current_);
                                  });
    quit_ = addWindowAction(QStringLiteral("quitAction"), tr("&Quit"), QKeySequence(Qt::CTRL | Qt::Key_Q),
                            [this] { close(); });
    listed_ << workerActions_->cycleWorker() << workerActions_->cycleAll() << workerActions_->scale();
    wholeGroup_ = addWindowAction(QStringLiteral("wholeGroupAction"), tr("&Whole group"),
                                  QKeySequence(Qt::Key_Escape), [this] { selectWorker(std::nullopt); });

    const std::pair<View, const char*> views[] = {{View::overview, QT_TR_NOOP("&Overview")},
                                                  {View::workers, QT_TR_NOOP("&Workers")},
                                                  {View::events, QT_TR_NOOP("&Events")}};
    for (const auto& [view, text] : views) {
        auto* action = choice(*views_, QString(), tr(text), static_cast<int>(view));
        action->setShortcut(QKeySequence(static_cast<int>(Qt::CTRL) | (Qt::Key_1 + static_cast<int>(view))));
        listed_.append(action);
    }
    views_->actions().front()->setChecked(true);
    connect(views_, &QActionGroup::triggered, this,
            [this](QAction* action) { showView(static_cast<View>(action->data().toInt())); });

    for (const int minutes : {1, 5, 10}) {
        auto* action =
            choice(*spans_, QStringLiteral("span%1Action").arg(minutes), tr("%1 min").arg(minutes), minutes);
        action->setToolTip(tr("Show the last %1 min").arg(minutes));
        action->setShortcut(QKeySequence(Qt::ALT | (minutes == 1   ? Qt::Key_1
                                                    : minutes == 5 ? Qt::Key_5
                                                                   : Qt::Key_0)));
        listed_.append(action);
        if (minutes == 5) action->setChecked(true);
    }
    connect(spans_, &QActionGroup::triggered, this,
            [this](QAction* action) { overview_->setSpan(std::chrono::minutes(action->data().toInt())); });

    pause_ = addWindowAction(QStringLiteral("pauseAction"), tr("&Pause"), QKeySequence(Qt::CTRL | Qt::Key_P),
                             [this] {
                                 overview_->setPaused(pause_->isChecked());
                                 applyTheme();
                             });
    pause_->setCheckable(true);
    pause_->setToolTip(tr("Hold figures and charts still; data keep arriving (Ctrl+P)"));
    findEvents_ = addWindowAction(QStringLiteral("findEventsAction"), tr("&Filter events"),
                                  QKeySequence(Qt::CTRL | Qt::Key_F), [this] { events_->focusFilter(); });
    larger_ = addWindowAction(QStringLiteral("largerTextAction"), tr("&Larger text"),
                              QKeySequence(Qt::CTRL | Qt::Key_Plus),
                              [this] { theme_.setTextSteps(theme_.textSteps() + 1); });
    smaller_ = addWindowAction(QStringLiteral("smallerTextAction"), tr("S&maller text"),
                               QKeySequence(Qt::CTRL | Qt::Key_Minus),
                               [this] { theme_.setTextSteps(theme_.textSteps() - 1); });
    shortcuts_ = addWindowAction(QStringLiteral("shortcutsAction"), tr("&Shortcuts"),
                                 QKeySequence(Qt::Key_F1), [this] { showShortcuts(); });

    const std::pair<Theme::Choice, const char*> themes[] = {
        {Theme::Choice::automatic, QT_TR_NOOP("As the &desktop")},
        {Theme::Choice::light, QT_TR_NOOP("&Light")},
        {Theme::Choice::dark, QT_TR_NOOP("D&ark")}};
    for (const auto& [which, text] : themes)
        choice(*themes_, QString(), tr(text), static_cast<int>(which));
    connect(themes_, &QActionGroup::triggered, this, [this](QAction* action) {
        const auto which = static_cast<Theme::Choice>(action->data().toInt());
        theme_.apply(which);
        QSettings().setValue(QStringLiteral("theme"), Theme::nameOf(which));
    });
}

void MainWindow::buildMenus() {
    auto* agent = menuBar()->addMenu(tr("&Agent"));
    agent->addActions({connect_, disconnect_});
    agent->addSeparator();
    agent->addAction(quit_);
    auto* worker = menuBar()->addMenu(tr("&Workers"));
    worker->setToolTipsVisible(true);
    worker->addActions({workerActions_->cycleWorker(), workerActions_->cycleAll(), workerActions_->scale()});
    worker->addSeparator();
    worker->addAction(wholeGroup_);
    auto* view = menuBar()->addMenu(tr("&View"));
    view->addActions(views_->actions());
    view->addSeparator();
    view->addActions(spans_->actions());
    view->addAction(pause_);
    view->addSeparator();
    view->addAction(findEvents_);
    view->addSeparator();
    view->addMenu(tr("&Theme"))->addActions(themes_->actions());
    view->addActions({larger_, smaller_});
    auto* help = menuBar()->addMenu(tr("&Help"));
    help->addAction(shortcuts_);
    connect(help->addAction(tr("&About Signalbox")), &QAction::triggered, this, &MainWindow::showAbout);
}

void MainWindow::buildToolBar() {
    auto* bar = addToolBar(tr("Actions"));
    bar->setObjectName(QStringLiteral("toolBar"));
    bar->setMovable(false);
    bar->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    bar->setIconSize({16, 16});
    bar->addAction(connect_);
    bar->addSeparator();
    bar->addActions({workerActions_->cycleWorker(), workerActions_->cycleAll(), workerActions_->scale()});
    auto* spacer = new QWidget;
    spacer->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
    bar->addWidget(spacer);
    bar->addActions(spans_->actions());
    bar->addSeparator();
    bar->addAction(pause_);
    for (auto* button : bar->findChildren<QToolButton*>())
        button->setFocusPolicy(Qt::TabFocus);
}

void MainWindow::buildContent() {
    tree_ = new QTreeView;
    tree_->setObjectName(QStringLiteral("fleetTree"));
    tree_->setAccessibleName(tr("Fleet"));
    // When the chosen row goes, the view chooses a neighbour, which nobody asked for. Connected before the
    // view is.
    connect(fleet_, &QAbstractItemModel::rowsAboutToBeRemoved, this, [this] { following_ = true; });
    tree_->setModel(fleet_);
    connect(fleet_, &QAbstractItemModel::rowsRemoved, this, [this] {
        following_ = false;
        followSelection();
    });
    tree_->setItemDelegate(new LightDelegate(theme_, tree_));
    tree_->setHeaderHidden(true);
    tree_->setIndentation(14);
    tree_->setUniformRowHeights(true);
    tree_->setContextMenuPolicy(Qt::ActionsContextMenu);
    tree_->addActions({workerActions_->cycleWorker(), workerActions_->cycleAll(), workerActions_->scale()});
    connect(tree_->selectionModel(), &QItemSelectionModel::currentChanged, this, &MainWindow::treeChosen);
    connect(fleet_, &QAbstractItemModel::rowsInserted, this, [this](const QModelIndex& parent) {
        if (parent.isValid()) tree_->expand(parent);
        followSelection();
    });
    auto* side = new QFrame;
    side->setProperty("role", "side");
    auto* sideTitle = new QLabel(tr("Fleet"));
    sideTitle->setProperty("role", "panelTitle");
    sideTitle->setContentsMargins(10, 8, 8, 4);
    auto* sideLayout = new QVBoxLayout(side);
    sideLayout->setContentsMargins(0, 0, 1, 0);
    sideLayout->setSpacing(0);
    sideLayout->addWidget(sideTitle);
    sideLayout->addWidget(tree_);

    overview_ = new Overview(theme_);
    overview_->setObjectName(QStringLiteral("overview"));
    connect(overview_, &Overview::wholeGroupRequested, this, [this] { selectWorker(std::nullopt); });
    workers_ = new WorkersView(theme_);
    workers_->table()->addActions(
        {workerActions_->cycleWorker(), workerActions_->cycleAll(), workerActions_->scale()});
    connect(workers_, &WorkersView::slotChosen, this, &MainWindow::selectWorker);
    events_ = new EventsView(theme_);

    rows_ = new QSplitter(Qt::Vertical);
    rows_->setChildrenCollapsible(false);
    rows_->setHandleWidth(8);
    rows_->addWidget(overview_);
    rows_->addWidget(workers_);
    rows_->addWidget(events_);
    for (int i = 0; i < 3; ++i)
        rows_->setStretchFactor(i, i == 0 ? 5 : 2);
    rows_->setSizes({430, 138, 140});
    workers_->setMinimumHeight(90);
    events_->setMinimumHeight(90);

    connection_ = new Banner(theme_, false);
    connection_->setObjectName(QStringLiteral("connectionBanner"));
    outcome_ = new Banner(theme_, true);
    outcome_->setObjectName(QStringLiteral("outcomeBanner"));
    connect(workerActions_, &WorkerActions::finished, this, [this](bool ok, const QString& text) {
        outcome_->say(ok ? Banner::Level::success : Banner::Level::error, text);
    });

    auto* padded = new QWidget;
    auto* paddedLayout = new QVBoxLayout(padded);
    paddedLayout->setContentsMargins(kMargin, 8, kMargin, kMargin);
    paddedLayout->addWidget(rows_);
    auto* middle = new QWidget;
    auto* middleLayout = new QVBoxLayout(middle);
    middleLayout->setContentsMargins(0, 0, 0, 0);
    middleLayout->setSpacing(0);
    middleLayout->addWidget(connection_);
    middleLayout->addWidget(outcome_);
    middleLayout->addWidget(padded, 1);

    sides_ = new QSplitter(Qt::Horizontal);
    sides_->setHandleWidth(1);
    sides_->addWidget(side);
    sides_->addWidget(middle);
    sides_->setStretchFactor(0, 0);
    sides_->setStretchFactor(1, 1);
    sides_->setSizes({216, 1064});
    sides_->setChildrenCollapsible(false);

    welcome_ = new WelcomePage;
    connect(welcome_, &WelcomePage::connectRequested, this, &MainWindow::askToConnect);
    connect(welcome_, &WelcomePage::recentChosen, this,
            [this](const ConnectionSettings& settings) { connectTo(settings); });
    pages_ = new QStackedWidget;
    pages_->addWidget(welcome_);
    pages_->addWidget(sides_);
    setCentralWidget(pages_);
}

void MainWindow::applyTheme() {
    connect_->setIcon(lineIcon(QStringLiteral("connect"), theme_));
    pause_->setIcon(lineIcon(pause_->isChecked() ? QStringLiteral("play") : QStringLiteral("pause"), theme_));
    pause_->setText(pause_->isChecked() ? tr("&Resume") : tr("&Pause"));
    for (auto* action : themes_->actions())
        action->setChecked(action->data().toInt() == static_cast<int>(theme_.choice()));
}

Agent& MainWindow::connectTo(const ConnectionSettings& settings) {
    for (auto& agent : agents_)
        if (agent->url() == settings.url) {
            present(agent.get(), std::nullopt);
            return *agent;
        }
    auto& agent = *agents_.emplace_back(std::make_unique<Agent>(settings));
    fleet_->add(agent);
    tree_->expand(fleet_->indexOf(agent));
    connect(&agent.store(), &AgentStore::stateChanged, this, &MainWindow::refreshConnection);
    // Worth remembering is what has worked.
    connect(
        &agent.session(), &AgentSession::helloArrived, this,
        [this, settings] {
            recentConnections::remember(settings);
            welcome_->refreshRecent();
        },
        Qt::SingleShotConnection);
    present(&agent, std::nullopt);
    agent.session().start();
    return agent;
}

void MainWindow::disconnectFrom(Agent& agent) {
    const auto found =
        std::find_if(agents_.begin(), agents_.end(), [&](const auto& one) { return one.get() == &agent; });
    if (found == agents_.end()) return;
    if (current_ == &agent) present(nullptr, std::nullopt);
    fleet_->remove(agent);
    agents_.erase(found);
    present(agents_.empty() ? nullptr : agents_.front().get(), std::nullopt);
}

void MainWindow::present(Agent* agent, std::optional<std::uint32_t> slot) {
    if (current_ != agent) {
        current_ = agent;
        outcome_->hide();
        pause_->setChecked(false);
        overview_->setAgent(agent);
        workers_->setAgent(agent);
        events_->setAgent(agent);
        applyTheme();
    }
    slot_ = slot;
    overview_->setSlot(slot);
    workers_->select(slot);
    workerActions_->setTarget(agent, slot);
    wholeGroup_->setEnabled(slot.has_value());
    disconnect_->setEnabled(agent != nullptr);
    pause_->setEnabled(agent != nullptr);
    spans_->setEnabled(agent != nullptr);
    const bool welcomed = pages_->currentWidget() == welcome_;
    pages_->setCurrentWidget(agent ? static_cast<QWidget*>(sides_) : welcome_);
    if (agent && welcomed) tree_->setFocus();
    if (!agent) welcome_->setFocus();
    setWindowTitle(agent ? tr("%1 – Signalbox").arg(agent->title()) : QStringLiteral("Signalbox"));
    followSelection();
    refreshConnection();
}

void MainWindow::selectWorker(std::optional<std::uint32_t> slot) {
    present(current_, slot);
}

void MainWindow::treeChosen(const QModelIndex& index) {
    if (following_ || !index.isValid()) return;
    const QVariant slot = index.data(SlotRole);
    present(fleet_->agentOf(index), slot.isValid() ? std::optional(slot.toUInt()) : std::nullopt);
}

void MainWindow::followSelection() {
    if (!current_) return;
    QModelIndex wanted = fleet_->groupIndexOf(*current_);
    if (slot_) {
        const QModelIndex now = tree_->currentIndex();
        const QVariant nowSlot = now.data(SlotRole);
        if (fleet_->agentOf(now) == current_ && nowSlot.isValid() && nowSlot.toUInt() == *slot_) return;
        if (const auto* worker = current_->store().worker(*slot_))
            wanted = fleet_->workerIndexOf(*current_, worker->slot, worker->generation);
    }
    if (!wanted.isValid() || wanted == tree_->currentIndex()) return;
    following_ = true;
    tree_->setCurrentIndex(wanted);
    following_ = false;
}

void MainWindow::refreshConnection() {
    if (!current_) return connection_->hide();
    const auto& store = current_->store();
    setWindowTitle(tr("%1 – Signalbox").arg(current_->title()));
    workers_->setStale(!store.connected());
    if (store.connected()) return connection_->hide();
    const QString detail = shown(store.stateDetail());
    const QString url = shown(current_->url(), 120);
    switch (store.state()) {
        case ConnectionState::connecting:
            // Between two attempts the reason of the last failure is worth more than "connecting".
            if (!connection_->isVisible())
                connection_->say(Banner::Level::info, tr("Connecting to %1 …").arg(url));
            return;
        case ConnectionState::waiting: {
            const QString known =
                store.history().latest() ? tr("\nWhat is shown is the last that was known.") : QString();
            connection_->say(Banner::Level::warning, tr("Not connected to %1: %2%3").arg(url, detail, known));
            return;
        }
        case ConnectionState::closed:
            connection_->say(Banner::Level::error, tr("Cannot connect to %1: %2").arg(url, detail));
            return;
        case ConnectionState::connected:
            return;
    }
}

void MainWindow::showView(View view) {
    overview_->setVisible(view == View::overview);
    workers_->setVisible(view != View::events);
    events_->setVisible(view != View::workers);
    for (auto* action : views_->actions())
        action->setChecked(action->data().toInt() == static_cast<int>(view));
}

void MainWindow::showSpan(int minutes) {
    for (auto* action : spans_->actions())
        if (action->data().toInt() == minutes) action->setChecked(true);
    overview_->setSpan(std::chrono::minutes(minutes));
}

void MainWindow::refreshNow() {
    overview_->refreshNow();
}

void MainWindow::askToConnect() {
    auto* dialog = new ConnectDialog(this);
    connect(dialog, &QDialog::accepted, this, [this, dialog] { connectTo(dialog->settings()); });
    dialog->open();
}

void MainWindow::showShortcuts() {
    (new ShortcutsDialog(listed_, this))->open();
}

void MainWindow::showAbout() {
    auto* box = new QMessageBox(this);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setWindowTitle(tr("About Signalbox"));
    box->setTextFormat(Qt::PlainText);
    box->setIconPixmap(applicationIcon().pixmap(QSize(64, 64), devicePixelRatioF()));
    box->setText(tr("Signalbox %1\n\nSee what every worker of a server is doing, live, and act on them.")
                     .arg(QCoreApplication::applicationVersion()));
    box->open();
}

}  // namespace signalbox::console
