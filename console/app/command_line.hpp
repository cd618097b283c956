// What `signalbox` is told on its command line.
#pragma once

#include <QSize>
#include <QStringList>
#include <chrono>
#include <optional>

#include "console/session/connection_settings.hpp"
#include "console/views/main_window.hpp"

namespace signalbox::console {

struct CommandLine {
    QList<ConnectionSettings> connections;
    QString screenshot;  ///< file to write; empty: an ordinary, interactive run
    bool check = false;
    MainWindow::View view = MainWindow::View::overview;
    std::chrono::milliseconds after{5000};
    QSize size{1280, 800};
    std::optional<Theme::Choice> theme;
    std::optional<int> span;  ///< minutes shown: 1, 5 or 10
    std::optional<std::uint32_t> select;
    std::optional<std::uint32_t> cycle;

    /// Nobody sits at it: screenshot, check.
    bool unattended() const { return !screenshot.isEmpty() || check; }

    QString problem;  ///< why the command line makes no sense; then nothing above counts
    QString message;  ///< asked for with --help or --version; then nothing above counts
};

/// Needs no application object, since it decides which platform the application starts on.
CommandLine parseCommandLine(const QStringList& arguments);

}  // namespace signalbox::console
