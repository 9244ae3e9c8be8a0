// The plainest of all: a perceptron of ReLU with cross_entropy.

#include "models/models.h"

namespace zoo {

Model mlp_classifier() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 10});
  const auto y = x.mm(torch::randn({10, 8})).tanh().mm(torch::randn({8, 4})).argmax(1);

  Sequential net(Linear(10, 32), ReLU(), Linear(32, 32), ReLU(), Linear(32, 4));

  return {net->parameters(), [=](int64_t batch) mutable {
            return functional::cross_entropy(net->forward(rows(x, batch)), rows(y, batch));
          }};
}

}  // namespace zoo
