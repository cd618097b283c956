#include "console/app/command_line.hpp"

#include <QCommandLineParser>
#include <QRegularExpression>

namespace signalbox::console {
namespace {

constexpr int kLongestWaitSeconds = 3600;
constexpr int kLargestSide = 16384;

std::optional<std::uint32_t> slotOf(const QString& text) {
    bool ok = false;
    const auto slot = text.toUInt(&ok);
    return ok ? std::optional<std::uint32_t>(slot) : std::nullopt;
}

std::optional<QSize> sizeOf(const QString& text) {
    static const QRegularExpression pattern(QStringLiteral("^(\\d{1,5})x(\\d{1,5})$"));
    const auto match = pattern.match(text);
    const QSize size(match.captured(1).toInt(), match.captured(2).toInt());
    if (!match.hasMatch() || size.width() < 320 || size.height() < 240) return std::nullopt;
    if (size.width() > kLargestSide || size.height() > kLargestSide) return std::nullopt;
    return size;
}

std::optional<MainWindow::View> viewOf(const QString& name) {
    if (name == QLatin1String("overview")) return MainWindow::View::overview;
    if (name == QLatin1String("workers")) return MainWindow::View::workers;
    if (name == QLatin1String("events")) return MainWindow::View::events;
    return std::nullopt;
}

QString tr(const char* text) {
    return QCoreApplication::translate("CommandLine", text);
}

}  // namespace

CommandLine parseCommandLine(const QStringList& arguments) {
    QCommandLineParser parser;
    parser.setApplicationDescription(
        tr("Shows what every worker of a preforking server is doing, live, and acts on them."));
    const auto help = parser.addHelpOption();
    const auto version = parser.addVersionOption();
    const QCommandLineOption connections(
        QStringLiteral("connect"),
        tr("Connect to this agent; may be repeated. unix:/path or tls://host:port."), QStringLiteral("URL"));
    const QCommandLineOption ca(QStringLiteral("ca"), tr("PEM file that verifies tls:// agents."),
                                QStringLiteral("FILE"));
    const QCommandLineOption cert(QStringLiteral("cert"), tr("PEM file of your certificate."),
                                  QStringLiteral("FILE"));
    const QCommandLineOption key(QStringLiteral("key"), tr("PEM file of your key."), QStringLiteral("FILE"));
    const QCommandLineOption theme(QStringLiteral("theme"), tr("auto, light or dark."),
                                   QStringLiteral("THEME"));
    const QCommandLineOption size(QStringLiteral("size"), tr("Size of the window in pixels."),
                                  QStringLiteral("WxH"));
    const QCommandLineOption view(QStringLiteral("view"), tr("overview, workers or events."),
                                  QStringLiteral("VIEW"));
    const QCommandLineOption span(QStringLiteral("span"), tr("Minutes that the charts show: 1, 5 or 10 (5)."),
                                  QStringLiteral("MINUTES"));
    const QCommandLineOption select(
        QStringLiteral("select"), tr("Narrow the view to the worker in this slot."), QStringLiteral("SLOT"));
    const QCommandLineOption screenshot(QStringLiteral("screenshot"),
                                        tr("Write the window to this PNG file and exit."),
                                        QStringLiteral("FILE"));
    const QCommandLineOption after(QStringLiteral("after"),
                                   tr("With --screenshot: seconds of data to wait for (5)."),
                                   QStringLiteral("SECONDS"));
    const QCommandLineOption cycle(
        QStringLiteral("cycle"),
        tr("With --screenshot: first cycle the worker in this slot, as a click would."),
        QStringLiteral("SLOT"));
    const QCommandLineOption check(
        QStringLiteral("check"),
        tr("Say what each agent reports, and exit; non-zero if one cannot be reached."));
    parser.addOptions(
        {connections, ca, cert, key, theme, size, view, span, select, screenshot, after, cycle, check});

    CommandLine line;
    const auto wrong = [&](const QString& why) {
        line.problem = why;
        return line;
    };
    if (!parser.parse(arguments)) return wrong(parser.errorText());
    if (parser.isSet(help)) return line.message = parser.helpText(), line;
    if (parser.isSet(version))
        return line.message = QStringLiteral("signalbox %1\n").arg(QStringLiteral(SIGNALBOX_VERSION)), line;
    if (!parser.positionalArguments().isEmpty())
        return wrong(tr("'%1' is no option; to connect, write --connect %1.")
                         .arg(parser.positionalArguments().front()));

    for (const auto& url : parser.values(connections))
        line.connections.append({.url = url,
                                 .authority = parser.value(ca),
                                 .certificate = parser.value(cert),
                                 .key = parser.value(key)});
    line.screenshot = parser.value(screenshot);
    line.check = parser.isSet(check);
    if (parser.isSet(theme)) {
        line.theme = Theme::parse(parser.value(theme));
        if (!line.theme)
            return wrong(tr("--theme: '%1' is none of auto, light, dark.").arg(parser.value(theme)));
    }
    if (parser.isSet(size)) {
        const auto parsed = sizeOf(parser.value(size));
        if (!parsed) return wrong(tr("--size: '%1' is no size; try 1280x800.").arg(parser.value(size)));
        line.size = *parsed;
    }
    if (parser.isSet(view)) {
        const auto parsed = viewOf(parser.value(view));
        if (!parsed)
            return wrong(tr("--view: '%1' is none of overview, workers, events.").arg(parser.value(view)));
        line.view = *parsed;
    }
    if (parser.isSet(span)) {
        const int minutes = parser.value(span).toInt();
        if (minutes != 1 && minutes != 5 && minutes != 10)
            return wrong(tr("--span: '%1' is none of 1, 5, 10.").arg(parser.value(span)));
        line.span = minutes;
    }
    if (parser.isSet(after)) {
        bool ok = false;
        const double seconds = parser.value(after).toDouble(&ok);
        if (!ok || !(seconds >= 0 && seconds <= kLongestWaitSeconds))
            return wrong(tr("--after: '%1' is no number of seconds from 0 to %2.")
                             .arg(parser.value(after))
                             .arg(kLongestWaitSeconds));
        line.after = std::chrono::milliseconds(static_cast<int>(seconds * 1000));
    }
    for (const auto& [option, target] : {std::pair(&select, &line.select), std::pair(&cycle, &line.cycle)}) {
        if (!parser.isSet(*option)) continue;
        *target = slotOf(parser.value(*option));
        if (!*target)
            return wrong(tr("--%1: '%2' is no slot; they count from 0.")
                             .arg(option->names().front(), parser.value(*option)));
    }
    if (line.check && line.connections.isEmpty())
        return wrong(tr("--check needs an agent to check: --connect URL."));
    if (line.cycle && line.screenshot.isEmpty()) return wrong(tr("--cycle goes with --screenshot FILE."));
    return line;
}

}  // namespace signalbox::console
