"""Planning by prompt: any vision-language model, here or behind a server, told what a plan is and asked for one."""
