// Operates a MainWindow as a person would; for tests against fake and real agents.
//
//     WindowDriver driver;
//     QVERIFY(driver.connectTo("unix:/run/mailroom/agent.sock"));       // and waits for workers
//     QVERIFY(driver.selectSlot(2));
//     QVERIFY(driver.trigger("cycleWorkerAction"));                     // opens the confirmation
//     driver.acceptDialog();
//     QVERIFY(driver.waitForOutcome().startsWith("Cycle worker 2"));
#pragma once

#include <QTemporaryDir>
#include <memory>

#include "console/views/confirm_dialog.hpp"
#include "console/views/main_window.hpp"
#include "console/views/theme.hpp"

class QAbstractItemModel;

namespace signalbox::test {

class WindowDriver {
public:
    WindowDriver();
    ~WindowDriver();

    console::MainWindow& window() { return *window_; }
    console::Theme& theme() { return theme_; }

    /// False if no worker is in the table after `limit`.
    bool connectTo(const QString& url, std::chrono::milliseconds limit = std::chrono::seconds(15));
    /// By the table's row, as a click would.
    bool selectSlot(std::uint32_t slot);
    /// False if the action is disabled or unknown.
    bool trigger(const QString& actionName);
    console::ConfirmDialog* dialog();
    void acceptDialog();
    /// The text of the outcome's banner, once it shows; empty after `limit`.
    QString waitForOutcome(std::chrono::milliseconds limit = std::chrono::seconds(15));

    QAbstractItemModel& workers();
    QAbstractItemModel& events();
    /// Whether an event of that name is listed.
    bool hasEvent(const QString& name);
    /// The text of the connection's banner; empty while it is hidden.
    QString connectionBanner();
    template <typename Widget>
    Widget& child(const char* name) {
        auto* widget = window_->findChild<Widget*>(QLatin1String(name));
        Q_ASSERT(widget);
        return *widget;
    }

private:
    QTemporaryDir settings_;  ///< so that tests leave the user's own settings alone
    console::Theme theme_;
    std::unique_ptr<console::MainWindow> window_;
};

}  // namespace signalbox::test
