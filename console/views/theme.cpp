#include "console/views/theme.hpp"

#include <QApplication>
#include <QFile>
#include <QFontDatabase>
#include <QJsonDocument>
#include <QJsonObject>
#include <QPalette>
#include <QRegularExpression>
#include <QStyleFactory>

namespace signalbox::console {
namespace {

constexpr int kMostTextSteps = 8;
constexpr int kFewestTextSteps = -2;
constexpr int kSeriesColors = 8;

QByteArray resource(const QString& name) {
    QFile file(QStringLiteral(":/themes/") + name);
    const bool there = file.open(QIODevice::ReadOnly);
    Q_ASSERT(there);
    return there ? file.readAll() : QByteArray();
}

}  // namespace

Theme::Theme(QObject* parent)
    : QObject(parent),
      desktopIsDark_(QApplication::palette().color(QPalette::Window).lightness() < 128),
      usualPointSize_(QFontDatabase::systemFont(QFontDatabase::GeneralFont).pointSizeF()) {
    // Without a desktop that says otherwise, as dense as a screen full of figures wants to be.
    if (usualPointSize_ < 7 || usualPointSize_ > 10) usualPointSize_ = 9;
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
}

std::optional<Theme::Choice> Theme::parse(const QString& name) {
    if (name == QLatin1String("auto")) return Choice::automatic;
    if (name == QLatin1String("light")) return Choice::light;
    if (name == QLatin1String("dark")) return Choice::dark;
    return std::nullopt;
}

QString Theme::nameOf(Choice choice) {
    switch (choice) {
        case Choice::automatic:
            return QStringLiteral("auto");
        case Choice::light:
            return QStringLiteral("light");
        case Choice::dark:
            return QStringLiteral("dark");
    }
    return {};
}

void Theme::apply(Choice choice) {
    choice_ = choice;
    dark_ = choice == Choice::dark || (choice == Choice::automatic && desktopIsDark_);
    load();
    Q_EMIT changed();
}

void Theme::setTextSteps(int steps) {
    textSteps_ = std::clamp(steps, kFewestTextSteps, kMostTextSteps);
    apply(choice_);
}

void Theme::load() {
    const auto names =
        QJsonDocument::fromJson(resource(dark_ ? QStringLiteral("dark.json") : QStringLiteral("light.json")))
            .object();
    colors_.clear();
    QString sheet = QString::fromUtf8(resource(QStringLiteral("console.qss")));
    for (auto entry = names.begin(); entry != names.end(); ++entry) {
        colors_.insert(entry.key(), QColor(entry.value().toString()));
        sheet.replace(u'@' + entry.key() + u'@', entry.value().toString());
    }

    sheet.replace(QStringLiteral("@scheme@"), dark_ ? QStringLiteral("dark") : QStringLiteral("light"));

    QPalette palette;
    palette.setColor(QPalette::Window, color(QStringLiteral("window")));
    palette.setColor(QPalette::Base, color(QStringLiteral("surface")));
    palette.setColor(QPalette::AlternateBase, color(QStringLiteral("raised")));
    palette.setColor(QPalette::Button, color(QStringLiteral("surface")));
    palette.setColor(QPalette::ToolTipBase, color(QStringLiteral("tipBackground")));
    palette.setColor(QPalette::Highlight, color(QStringLiteral("selection")));
    palette.setColor(QPalette::HighlightedText, color(QStringLiteral("selectionText")));
    palette.setColor(QPalette::Link, color(QStringLiteral("accent")));
    palette.setColor(QPalette::PlaceholderText, color(QStringLiteral("muted")));
    for (const auto role :
         {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::ToolTipText}) {
        palette.setColor(role, color(QStringLiteral("text")));
        palette.setColor(QPalette::Disabled, role, color(QStringLiteral("disabled")));
    }
    QApplication::setPalette(palette);

    QFont font = QFontDatabase::systemFont(QFontDatabase::GeneralFont);
    font.setPointSizeF(usualPointSize_ + textSteps_);
    QApplication::setFont(font);
    static_cast<QApplication*>(QCoreApplication::instance())->setStyleSheet(sheet);
}

QColor Theme::color(const QString& name) const {
    Q_ASSERT(colors_.contains(name));
    return colors_.value(name);
}

ChartColors Theme::chartColors() const {
    return {.text = color(QStringLiteral("text")),
            .faintText = color(QStringLiteral("muted")),
            .grid = color(QStringLiteral("grid")),
            .crosshair = color(QStringLiteral("crosshair")),
            .tipBackground = color(QStringLiteral("tipBackground")),
            .tipBorder = color(QStringLiteral("border"))};
}

QColor Theme::seriesColor(std::size_t n) const {
    return color(QStringLiteral("series%1").arg(n % kSeriesColors));
}

}  // namespace signalbox::console
