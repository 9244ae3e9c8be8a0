// Values of actions against a frozen copy's, with the Huber loss: the step of a deep Q network.

#include "models/models.h"

namespace zoo {

Model q_learning() {
  using namespace torch::nn;
  constexpr double kDiscount = 0.9;
  const auto states = torch::randn({kExamples, 4}), next = torch::randn({kExamples, 4});
  const auto actions = torch::randint(3, {kExamples, 1});
  const auto rewards = states.mm(torch::randn({4, 3})).gather(1, actions).squeeze(1);

  const auto make_net = [] { return Sequential(Linear(4, 32), ReLU(), Linear(32, 3)); };
  auto net = make_net(), frozen = make_net();

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto q = net->forward(rows(states, batch)).gather(1, rows(actions, batch));
            const auto best = frozen->forward(rows(next, batch)).detach().amax(1);
            const auto target = rows(rewards, batch) + kDiscount * best;
            return functional::smooth_l1_loss(q.squeeze(1), target);
          }};
}

}  // namespace zoo
