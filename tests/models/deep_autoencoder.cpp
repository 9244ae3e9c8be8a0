// Bars squeezed through six numbers, each pixel a Bernoulli.

#include "models/models.h"
#include "models/pictures.h"

namespace zoo {

Model deep_autoencoder() {
  using namespace torch::nn;
  const auto x = draw_pictures().masks.flatten(1);

  Sequential net(Linear(64, 32), Tanh(), Linear(32, 16), Tanh(), Linear(16, 6),  //
                 Linear(6, 16), Tanh(), Linear(16, 32), Tanh(), Linear(32, 64));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto bars = rows(x, batch);
            return functional::binary_cross_entropy_with_logits(net->forward(bars), bars);
          }};
}

}  // namespace zoo
