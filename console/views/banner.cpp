#include "console/views/banner.hpp"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QStyle>

#include "console/views/state_light.hpp"

namespace signalbox::console {
namespace {

constexpr std::chrono::seconds kSuccessStays{15};

QString nameOf(Banner::Level level) {
    switch (level) {
        case Banner::Level::info:
            return QStringLiteral("info");
        case Banner::Level::success:
            return QStringLiteral("success");
        case Banner::Level::warning:
            return QStringLiteral("warning");
        case Banner::Level::error:
            return QStringLiteral("error");
    }
    return {};
}

Light lightOf(Banner::Level level) {
    switch (level) {
        case Banner::Level::info:
            return Light::starting;
        case Banner::Level::success:
            return Light::ready;
        case Banner::Level::warning:
            return Light::warning;
        case Banner::Level::error:
            return Light::dead;
    }
    return Light::off;
}

}  // namespace

Banner::Banner(const Theme& theme, bool closable, QWidget* parent)
    : QFrame(parent), theme_(theme), light_(new QLabel), text_(new QLabel) {
    setProperty("role", "banner");
    text_->setTextFormat(Qt::PlainText);
    text_->setWordWrap(true);
    text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    text_->setObjectName(QStringLiteral("bannerText"));
    auto* layout = new QHBoxLayout(this);
    layout->setContentsMargins(14, 6, 10, 6);
    layout->setSpacing(9);
    layout->addWidget(light_);
    layout->addWidget(text_, 1);
    if (closable) {
        auto* close = new QPushButton(tr("Dismiss"));
        close->setProperty("role", "link");
        connect(close, &QPushButton::clicked, this, &QWidget::hide);
        layout->addWidget(close);
        connect(&leaving_, &QTimer::timeout, this, &QWidget::hide);
    }
    leaving_.setSingleShot(true);
    connect(&theme, &Theme::changed, this, &Banner::refreshLight);
    hide();
}

QString Banner::text() const {
    return text_->text();
}

void Banner::say(Level level, const QString& text) {
    level_ = level;
    text_->setText(text);
    setProperty("level", nameOf(level));
    style()->unpolish(this);
    style()->polish(this);
    refreshLight();
    leaving_.stop();
    if (level == Level::success) leaving_.start(kSuccessStays);
    show();
}

void Banner::refreshLight() {
    light_->setPixmap(lightPixmap(lightOf(level_), theme_, 12, devicePixelRatioF()));
}

}  // namespace signalbox::console
