// The little lights beside whatever has a state. Each has a colour and a shape of its own, so that nobody
// needs to tell red from green: ready ●, starting ◔, draining ▼, stalled ◆, dead ✕, warning ▲, off ○.
#pragma once

#include <QStyledItemDelegate>

#include "console/models/roles.hpp"
#include "console/views/theme.hpp"

namespace signalbox::console {

QPixmap lightPixmap(Light light, const Theme& theme, int size, qreal pixelRatio);

/// Draws the light of LightRole before a cell's text, in rows with some air.
class LightDelegate : public QStyledItemDelegate {
    Q_OBJECT
public:
    LightDelegate(const Theme& theme, QObject* parent);

    QSize sizeHint(const QStyleOptionViewItem& option, const QModelIndex& index) const override;

protected:
    void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override;

private:
    const Theme& theme_;
};

}  // namespace signalbox::console
