// signalbox: the desktop console.
#include <QApplication>
#include <QSettings>
#include <cstdio>

#include "console/app/command_line.hpp"
#include "console/app/unattended_run.hpp"
#include "console/views/main_window.hpp"
#include "console/views/theme.hpp"

namespace {

using namespace signalbox::console;

/// From this width on, a picture is taken as a screen of twice the density would show it: text in natural
/// size.
constexpr int kDenseWidth = 2560;

/// What must be known before there is an application object.
void prepareUnattended(CommandLine& line) {
    if (qEnvironmentVariableIsEmpty("QT_QPA_PLATFORM") && qEnvironmentVariableIsEmpty("DISPLAY") &&
        qEnvironmentVariableIsEmpty("WAYLAND_DISPLAY"))
        qputenv("QT_QPA_PLATFORM", "offscreen");
    if (line.size.width() >= kDenseWidth && qEnvironmentVariableIsEmpty("QT_SCALE_FACTOR")) {
        qputenv("QT_SCALE_FACTOR", "2");
        line.size /= 2;
    }
}

}  // namespace

int main(int argc, char** argv) {
    QStringList arguments;
    for (int i = 0; i < argc; ++i)
        arguments << QString::fromLocal8Bit(argv[i]);
    auto line = parseCommandLine(arguments);
    if (!line.message.isEmpty()) {
        std::fputs(qPrintable(line.message), stdout);
        return 0;
    }
    if (!line.problem.isEmpty()) {
        std::fprintf(stderr, "signalbox: %s\nTry signalbox --help.\n", qPrintable(line.problem));
        return 2;
    }
    if (line.unattended()) prepareUnattended(line);

    QApplication application(argc, argv);
    QApplication::setOrganizationName(QStringLiteral("Signalbox"));
    QApplication::setApplicationName(QStringLiteral("signalbox"));
    QApplication::setApplicationDisplayName(QStringLiteral("Signalbox"));
    QApplication::setApplicationVersion(QStringLiteral(SIGNALBOX_VERSION));

    Theme theme;
    const auto remembered = Theme::parse(QSettings().value(QStringLiteral("theme")).toString());
    theme.apply(line.theme.value_or(remembered.value_or(Theme::Choice::automatic)));
    MainWindow window(theme);
    window.resize(line.size);
    window.showView(line.view);
    if (line.span) window.showSpan(*line.span);
    for (const auto& connection : line.connections)
        window.connectTo(connection);
    // The first is the one to look at.
    if (!line.connections.isEmpty()) window.connectTo(line.connections.front());
    if (!line.check) window.show();
    if (line.unattended()) {
        new UnattendedRun(line, window);
    } else if (line.select && !line.connections.isEmpty()) {
        auto* agent = window.currentAgent();
        QObject::connect(
            &agent->store(), &AgentStore::ticked, &window,
            [&window, slot = line.select] { window.selectWorker(slot); }, Qt::SingleShotConnection);
    }
    return QApplication::exec();
}
