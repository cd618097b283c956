// A row of "■ name value", right-aligned; what does not fit is counted: "+3".
#pragma once

#include <QColor>
#include <QWidget>
#include <vector>

namespace signalbox::console {

class ChartLegend : public QWidget {
    Q_OBJECT
public:
    struct Item {
        QColor color;
        QString name;
        QString value;
    };
    explicit ChartLegend(QWidget* parent = nullptr);
    void setItems(std::vector<Item> items);
    void setColors(const QColor& name, const QColor& value);
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override;

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::vector<Item> items_;
    QColor nameColor_;
    QColor valueColor_;
};

}  // namespace signalbox::console
