// Few active units: an autoencoder with a penalty on its hidden activities.

#include "models/models.h"

namespace zoo {

Model sparse_autoencoder() {
  using namespace torch::nn;
  constexpr double kActivityWeight = 0.05;
  const auto causes = torch::relu(torch::randn({kExamples, 6}) - 0.5);
  const auto x = causes.mm(torch::randn({6, 16})) + 0.05 * torch::randn({kExamples, 16});

  Linear encoder(16, 24), decoder(24, 16);
  auto parameters = encoder->parameters();
  for (const auto& parameter : decoder->parameters()) parameters.push_back(parameter);

  return {parameters, [=](int64_t batch) mutable {
            const auto seen = rows(x, batch);
            const auto h = torch::relu(encoder->forward(seen));
            return functional::mse_loss(decoder->forward(h), seen) +
                   kActivityWeight * h.abs().mean();
          }};
}

}  // namespace zoo
