#include "console/views/figure_tile.hpp"

#include <QApplication>
#include <QEvent>
#include <QLabel>
#include <QStyle>
#include <QVBoxLayout>

namespace signalbox::console {
namespace {

constexpr double kFigureSize = 1.75;

}  // namespace

FigureTile::FigureTile(const QString& caption, QWidget* parent)
    : QFrame(parent), caption_(new QLabel(caption)), value_(new QLabel), remark_(new QLabel) {
    setProperty("role", "panel");
    caption_->setProperty("role", "caption");
    value_->setProperty("role", "figure");
    remark_->setProperty("role", "caption");
    for (auto* label : {caption_, value_, remark_}) {
        label->setTextFormat(Qt::PlainText);
        // A long remark is cut by the tile, never widens it.
        label->setMinimumWidth(1);
        label->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    }
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(12, 6, 8, 6);
    layout->setSpacing(0);
    layout->addWidget(caption_);
    layout->addWidget(value_);
    layout->addWidget(remark_);
    enlarge();
}

void FigureTile::enlarge() {
    QFont font = QApplication::font();
    font.setPointSizeF(font.pointSizeF() * kFigureSize);
    font.setWeight(QFont::DemiBold);
    value_->setFont(font);
}

void FigureTile::changeEvent(QEvent* event) {
    QFrame::changeEvent(event);
    if (event->type() == QEvent::FontChange || event->type() == QEvent::ApplicationFontChange) enlarge();
}

void FigureTile::setFigure(const QString& value, const QString& remark, bool alarm) {
    value_->setText(value);
    remark_->setText(remark);
    remark_->setToolTip(remark);
    setAccessibleName(caption_->text() + u' ' + value);
    setFlag("alarm", alarm);
}

void FigureTile::setStale(bool stale) {
    setFlag("stale", stale);
}

QString FigureTile::value() const {
    return value_->text();
}

void FigureTile::setFlag(const char* name, bool on) {
    if (value_->property(name).toBool() == on) return;
    value_->setProperty(name, on);
    style()->unpolish(value_);
    style()->polish(value_);
}

}  // namespace signalbox::console
