// Cross entropy as the log of the sum of exponentials less the right class's logit.

#include "models/models.h"

namespace zoo {

Model cross_entropy_by_hand() {
  using namespace torch::nn;
  const auto x = torch::randn({kExamples, 8});
  const auto y = x.mm(torch::randn({8, 6})).tanh().mm(torch::randn({6, 5})).argmax(1);

  Sequential net(Linear(8, 32), Tanh(), Linear(32, 5));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto z = net->forward(rows(x, batch));
            const auto right = z.gather(1, rows(y, batch).unsqueeze(1)).squeeze(1);
            return (z.logsumexp(1) - right).mean();
          }};
}

}  // namespace zoo
