#include "tests/console/window_driver.hpp"

#include <QLabel>
#include <QSettings>
#include <QTableView>
#include <QTest>

#include "console/models/event_model.hpp"
#include "console/models/roles.hpp"
#include "console/views/banner.hpp"

namespace signalbox::test {

WindowDriver::WindowDriver() {
    QSettings::setDefaultFormat(QSettings::IniFormat);
    QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, settings_.path());
    QCoreApplication::setOrganizationName(QStringLiteral("Signalbox"));
    QCoreApplication::setApplicationName(QStringLiteral("test"));
    theme_.apply(console::Theme::Choice::light);
    window_ = std::make_unique<console::MainWindow>(theme_);
    window_->show();
}

WindowDriver::~WindowDriver() = default;

bool WindowDriver::connectTo(const QString& url, std::chrono::milliseconds limit) {
    window_->connectTo({.url = url, .authority = {}, .certificate = {}, .key = {}});
    return QTest::qWaitFor([this] { return workers().rowCount() > 0; }, static_cast<int>(limit.count()));
}

QAbstractItemModel& WindowDriver::workers() {
    return *child<QTableView>("workersTable").model();
}
QAbstractItemModel& WindowDriver::events() {
    return *child<QTableView>("eventsTable").model();
}

bool WindowDriver::selectSlot(std::uint32_t slot) {
    for (int row = 0; row < workers().rowCount(); ++row)
        if (workers().index(row, 0).data(console::SlotRole).toUInt() == slot) {
            child<QTableView>("workersTable").selectRow(row);
            return window_->selectedWorker() == slot;
        }
    return false;
}

bool WindowDriver::trigger(const QString& actionName) {
    auto* action = window_->findChild<QAction*>(actionName);
    if (!action || !action->isEnabled()) return false;
    action->trigger();
    return true;
}

console::ConfirmDialog* WindowDriver::dialog() {
    return window_->findChild<console::ConfirmDialog*>(QStringLiteral("confirmDialog"));
}

void WindowDriver::acceptDialog() {
    if (auto* open = dialog()) open->accept();
}

QString WindowDriver::waitForOutcome(std::chrono::milliseconds limit) {
    auto& banner = child<console::Banner>("outcomeBanner");
    const bool shown = QTest::qWaitFor([&] { return banner.isVisible(); }, static_cast<int>(limit.count()));
    return shown ? banner.text() : QString();
}

bool WindowDriver::hasEvent(const QString& name) {
    for (int row = 0; row < events().rowCount(); ++row)
        if (events().index(row, console::EventModel::Name).data().toString() == name) return true;
    return false;
}

QString WindowDriver::connectionBanner() {
    auto& banner = child<console::Banner>("connectionBanner");
    return banner.isVisible() ? banner.text() : QString();
}

}  // namespace signalbox::test
