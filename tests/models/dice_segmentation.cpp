// Which pixels belong to the bar: the soft Dice loss of a convolutional network.

#include "models/models.h"
#include "models/pictures.h"

namespace zoo {

Model dice_segmentation() {
  using namespace torch::nn;
  const auto data = draw_pictures();

  Sequential net(Conv2d(Conv2dOptions(1, 8, 3).padding(1)), ReLU(),  //
                 Conv2d(Conv2dOptions(8, 8, 3).padding(1)), ReLU(), Conv2d(8, 1, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto p = torch::sigmoid(net->forward(rows(data.noisy, batch))).flatten(1);
            const auto mask = rows(data.masks, batch).flatten(1);
            const auto common = (p * mask).sum(1);
            return (1 - (2 * common + 1) / (p.sum(1) + mask.sum(1) + 1)).mean();
          }};
}

}  // namespace zoo
