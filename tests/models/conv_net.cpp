// Two convolutions and a linear layer tell the direction of a bar.

#include "models/models.h"
#include "models/pictures.h"

namespace zoo {

Model conv_net() {
  using namespace torch::nn;
  const auto data = draw_pictures();

  Sequential net(Conv2d(Conv2dOptions(1, 8, 3).padding(1)), ReLU(), MaxPool2d(2),   //
                 Conv2d(Conv2dOptions(8, 16, 3).padding(1)), ReLU(), MaxPool2d(2),  //
                 Flatten(), Linear(64, 4));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto logits = net->forward(rows(data.noisy, batch));
            return functional::cross_entropy(logits, rows(data.labels, batch));
          }};
}

}  // namespace zoo
