// Two towers that find each other's view of the same thing in the batch: InfoNCE in both
// directions.

#include "models/models.h"

namespace zoo {

Model contrastive() {
  using namespace torch::nn;
  const auto things = torch::randn({kExamples, 4});
  const auto seen = things.mm(torch::randn({4, 12})) + 0.3 * torch::randn({kExamples, 12});
  const auto heard = things.mm(torch::randn({4, 8})).tanh() + 0.1 * torch::randn({kExamples, 8});

  Sequential eye(Linear(12, 32), ReLU(), Linear(32, 8)), ear(Linear(8, 32), ReLU(), Linear(32, 8));
  auto parameters = eye->parameters();
  for (const auto& parameter : ear->parameters()) parameters.push_back(parameter);

  return {parameters, [=](int64_t batch) mutable {
            const auto u = functional::normalize(eye->forward(rows(seen, batch)));
            const auto v = functional::normalize(ear->forward(rows(heard, batch)));
            const auto logits = u.mm(v.t()) / 0.2;
            const auto pairs = torch::arange(kBatch);
            return (functional::cross_entropy(logits, pairs) +
                    functional::cross_entropy(logits.t(), pairs)) /
                   2;
          }};
}

}  // namespace zoo
